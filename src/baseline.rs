//! Fluorescence to ΔF/F with a sliding-percentile baseline (rules 3.1 to 3.4).
