//! Cell positions and spikes to grids (rules 7.1 to 7.3).
