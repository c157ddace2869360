//! A simulated run: the [`Scheduler`] of real runs, driven by ranks that only count seconds. It found that units of 300 neurons were
//! too coarse for a thousand ranks (now 40), that subjects were opened only when all ranks were out of work, and that rank 0 was
//! late with everything while it brought files to disk (now their writers do).
//!
//! Each rank has a main thread, which reads, writes, sends and receives, and a pool of compute threads, as in
//! [`worker`](crate::run::worker). Events are handled in the order of their time. An event that finds the main thread of its rank
//! busy waits for that thread.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::run::schedule::{SLABS_AT_ONCE, Scheduler, Step, Stretch};

/// From sending a message to its being handled by a rank that has nothing else to do and sleeps 1 ms at a time, or longer where nothing
/// has happened for long.
const LATENCY: f64 = 1e-3;
/// What rank 0 takes to handle a message.
const HANDLING: f64 = 5e-6;

/// A subject, and the seconds that each piece of it takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Load {
    /// Work units.
    pub units: usize,
    /// The stretches in which it is read.
    pub stretches: Vec<Stretch>,
    /// Slabs of frames.
    pub slabs: usize,
    /// Rank 0: looking into the files.
    pub open: f64,
    /// PieceToRead a piece.
    pub read: f64,
    /// Computing a unit, on all compute threads of a rank.
    pub compute: f64,
    /// Rasterising a slab, on all compute threads of a rank.
    pub rasterise: f64,
    /// The writer: cutting a slab.
    pub cut: f64,
    /// A rank: putting the planes of a slab into the file.
    pub write: f64,
    /// The writer: laying the file out and writing its index.
    pub index: f64,
    /// Rank 0: the other files.
    pub finish: f64,
}

impl Load {
    /// Seconds of a rank's compute threads.
    pub(super) fn computing(&self) -> f64 {
        self.units as f64 * self.compute + self.slabs as f64 * self.rasterise
    }

    /// Seconds of the ranks' main threads.
    pub(super) fn moving(&self) -> f64 {
        let pieces: usize = self.stretches.iter().map(|stretch| stretch.pieces).sum();
        let slabs = self.slabs as f64 * (self.cut + self.write);
        self.open + pieces as f64 * self.read + slabs + self.index + self.finish
    }
}

/// An event on a rank.
#[derive(Debug, Clone)]
enum Event {
    /// Rank 0 receives a report.
    Report(Report),
    /// A rank reads a piece.
    Read { subject: usize, stretch: usize },
    /// The rank that holds a unit's samples sends them to a rank.
    SendUnit {
        subject: usize,
        unit: usize,
        to: usize,
    },
    /// A rank has a unit computed.
    Compute { subject: usize, unit: usize },
    /// The writer cuts a slab for a rank.
    SendSlab { subject: usize, to: usize },
    /// A rank rasterises a slab.
    Rasterise { subject: usize, writer: usize },
    /// The writer gives the planes of a slab a place.
    Place { subject: usize, to: usize },
    /// A rank puts the planes of a slab into the file.
    Put { subject: usize, writer: usize },
    /// The writer hears that they are there; after the last, ranks bring their planes to disk.
    Placed { subject: usize, from: usize },
    /// The writer writes the index.
    Index { subject: usize },
    /// The writer lays the file out.
    Write { subject: usize },
}

#[derive(Debug, Clone)]
enum Report {
    Start,
    Read {
        rank: usize,
        subject: usize,
        stretch: usize,
    },
    Unit {
        rank: usize,
        subject: usize,
        unit: usize,
    },
    Opened {
        subject: usize,
    },
    Rasterised {
        rank: usize,
        subject: usize,
    },
    Written {
        subject: usize,
    },
}

/// Events of the same time keep the order in which they were planned.
struct Due {
    time: f64,
    number: u64,
    rank: usize,
    event: Event,
}

impl Due {
    fn key(&self) -> (Reverse<u64>, Reverse<u64>) {
        // Times are not negative: their bits are in the order of their values.
        (Reverse(self.time.to_bits()), Reverse(self.number))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The ranks' clocks, and the events to come.
struct Ranks<'a> {
    loads: &'a [Load],
    due: BinaryHeap<Due>,
    numbers: u64,
    /// When the main thread of each rank is free, in seconds.
    main_free: Vec<f64>,
    /// When the compute threads of each rank are free, in seconds.
    computing: Vec<f64>,
    writers: Vec<usize>,
    slabs_left: Vec<usize>,
}

/// Seconds from the first rank's start to the last subject's end, of subjects that begin in this order.
pub(super) fn makespan(loads: &[Load], ranks: usize, threads: usize) -> f64 {
    let mut scheduler = Scheduler::new(0..loads.len(), ranks, threads);
    let mut state = Ranks {
        loads,
        due: BinaryHeap::new(),
        numbers: 0,
        main_free: vec![0.0; ranks],
        computing: vec![0.0; ranks],
        writers: vec![0; loads.len()],
        slabs_left: loads.iter().map(|load| load.slabs).collect(),
    };
    state.at(0.0, 0, Event::Report(Report::Start));
    while let Some(due) = state.due.pop() {
        let Due {
            time, rank, event, ..
        } = due;
        if state.main_free[rank] > time {
            let free = state.main_free[rank];
            state.at(free, rank, event);
            continue;
        }
        match event {
            Event::Report(report) => {
                state.main_free[0] = time + HANDLING;
                if state.on_report(&mut scheduler, report) {
                    return state.main_free[0];
                }
            }
            event => state.happen(time, rank, event),
        }
    }
    state.main_free[0]
}

impl Ranks<'_> {
    fn at(&mut self, time: f64, rank: usize, event: Event) {
        self.numbers += 1;
        self.due.push(Due {
            time,
            number: self.numbers,
            rank,
            event,
        });
    }

    /// Rank 0 receives a report and takes the steps that the scheduler returns. Returns whether the run is finished.
    fn on_report(&mut self, scheduler: &mut Scheduler, report: Report) -> bool {
        match report {
            Report::Start => {}
            Report::Unit {
                rank,
                subject,
                unit,
            } => scheduler.done(rank, subject, unit),
            Report::Read {
                rank,
                subject,
                stretch,
            } => scheduler.read(rank, subject, stretch),
            Report::Opened { subject } => {
                scheduler.opened(subject, self.loads[subject].slabs, SLABS_AT_ONCE);
            }
            Report::Rasterised { rank, subject } => scheduler.rasterised(rank, subject),
            Report::Written { subject } => {
                self.main_free[0] += self.loads[subject].finish;
                scheduler.ended(subject);
            }
        }
        while let Some(step) = scheduler.next() {
            match step {
                Step::Plan { subject, writer } => {
                    let load = &self.loads[subject];
                    self.main_free[0] += load.open;
                    self.writers[subject] = writer;
                    scheduler.planned(subject, load.stretches.clone(), BTreeSet::new());
                }
                Step::Read {
                    rank,
                    subject,
                    stretch,
                    ..
                } => self.send(0, rank, Event::Read { subject, stretch }),
                Step::Compute {
                    rank,
                    subject,
                    unit,
                    owner,
                } => {
                    let to = rank;
                    self.send(0, owner, Event::SendUnit { subject, unit, to });
                }
                Step::Write { subject } => {
                    self.send(0, self.writers[subject], Event::Write { subject });
                }
                Step::Rasterise { rank, subject, .. } => {
                    let send = Event::SendSlab { subject, to: rank };
                    self.send(0, self.writers[subject], send);
                }
                Step::Load { .. } | Step::Drop { .. } => {}
                Step::Finish => return true,
            }
        }
        false
    }

    fn send(&mut self, from: usize, to: usize, event: Event) {
        let time = self.main_free[from] + LATENCY;
        self.at(time, to, event);
    }

    fn report(&mut self, time: f64, report: Report) {
        self.at(time + LATENCY, 0, Event::Report(report));
    }

    fn happen(&mut self, time: f64, rank: usize, event: Event) {
        match event {
            Event::Report(_) => {}
            Event::Read { subject, stretch } => {
                self.main_free[rank] = time + self.loads[subject].read;
                let report = Report::Read {
                    rank,
                    subject,
                    stretch,
                };
                self.report(self.main_free[rank], report);
            }
            Event::SendUnit { subject, unit, to } if to == rank => {
                self.happen(time, rank, Event::Compute { subject, unit });
            }
            Event::SendUnit { subject, unit, to } => {
                self.main_free[rank] = time + HANDLING;
                self.send(rank, to, Event::Compute { subject, unit });
            }
            Event::Compute { subject, unit } => {
                let begin = self.computing[rank].max(time);
                self.computing[rank] = begin + self.loads[subject].compute;
                let report = Report::Unit {
                    rank,
                    subject,
                    unit,
                };
                self.report(self.computing[rank], report);
            }
            Event::Write { subject } => self.report(time, Report::Opened { subject }),
            Event::SendSlab { subject, to } => {
                self.main_free[rank] = time + HANDLING + self.loads[subject].cut;
                let rasterise = Event::Rasterise {
                    subject,
                    writer: rank,
                };
                self.send(rank, to, rasterise);
            }
            Event::Rasterise { subject, writer } => {
                let begin = self.computing[rank].max(time);
                self.computing[rank] = begin + self.loads[subject].rasterise;
                let place = Event::Place { subject, to: rank };
                let done = self.computing[rank] + LATENCY;
                self.at(done, writer, place);
            }
            Event::Place { subject, to } => {
                self.main_free[rank] = time + HANDLING;
                let put = Event::Put {
                    subject,
                    writer: rank,
                };
                self.send(rank, to, put);
            }
            Event::Put { subject, writer } => {
                self.main_free[rank] = time + self.loads[subject].write;
                let placed = Event::Placed {
                    subject,
                    from: rank,
                };
                self.send(rank, writer, placed);
            }
            Event::Placed { subject, from } => {
                self.main_free[rank] = time + HANDLING;
                let report = Report::Rasterised {
                    rank: from,
                    subject,
                };
                self.report(self.main_free[rank], report);
                self.slabs_left[subject] -= 1;
                if self.slabs_left[subject] == 0 {
                    // The ranks answer that their planes are on disk.
                    self.at(time + 2.0 * LATENCY, rank, Event::Index { subject });
                }
            }
            Event::Index { subject } => {
                self.main_free[rank] = time + self.loads[subject].index;
                self.report(self.main_free[rank], Report::Written { subject });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(units: usize, compute: f64) -> Load {
        Load {
            units,
            stretches: vec![Stretch {
                units: 0..units,
                pieces: 10,
                weight: 1.0,
            }],
            slabs: 10,
            open: 0.0,
            read: 0.0,
            compute,
            rasterise: 0.0,
            cut: 0.0,
            write: 0.0,
            index: 0.0,
            finish: 0.0,
        }
    }

    #[test]
    fn one_rank_takes_as_long_as_its_compute_threads() {
        let found = makespan(&vec![load(50, 0.5); 3], 1, 1);
        assert!((75.0..75.2).contains(&found), "{found}");
    }

    #[test]
    fn ranks_share_the_work_to_within_a_unit() {
        for ranks in [2, 7, 64] {
            let found = makespan(&vec![load(1000, 0.5); 3], ranks, 1);
            let ideal = 1500.0 / ranks as f64;
            assert!((ideal..ideal + 0.7).contains(&found), "{found} on {ranks}");
        }
    }

    #[test]
    fn reading_is_hidden_by_computing_unless_it_takes_longer() {
        let reads = |read| {
            makespan(
                &vec![
                    Load {
                        read,
                        ..load(100, 0.5)
                    };
                    2
                ],
                2,
                1,
            )
        };
        assert!(reads(0.2) < 1.05 * reads(0.0));
        assert!(reads(10.0) > 1.9 * reads(0.0));
    }

    #[test]
    fn what_rank_0_does_alone_is_counted() {
        let alone = makespan(
            &[Load {
                open: 3.0,
                finish: 4.0,
                ..load(10, 0.5)
            }],
            8,
            1,
        );
        assert!((8.0..8.2).contains(&alone), "{alone}");
    }
}
