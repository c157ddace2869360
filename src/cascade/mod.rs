//! CASCADE: ΔF/F to spike rates by an ensemble of small convnets (rules 4.1 to 4.8).
