//! Spike rates to spikes, reproducible neuron by neuron (rules 5.1 and 5.2).
