//! Made-up subjects in the input format of section 2, with their true spikes.
