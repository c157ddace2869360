//! Train and test blocks of frames (rule 6.1).
