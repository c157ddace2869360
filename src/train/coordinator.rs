//! Rank 0's part of a training: it assigns members to ranks that train none, and says how far they are.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spikegrid_ranks::World;

use crate::job::STOPPED;

/// When rank 0 first says how far a member is, and how often it does again.
const FIRST_LINE: Duration = Duration::from_secs(10);
const NEXT_LINES: Duration = Duration::from_secs(60);

/// A member of the model: noise level and number.
pub(super) type Member = (i32, u32);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Message {
    /// To rank 0: this rank trains no member now.
    Idle,
    /// To a rank: train this member.
    Train(Member),
    /// To a rank: there is nothing more to do.
    End { status: u8 },
    /// To rank 0: the loss so far.
    Progress {
        member: Member,
        frames: u64,
        loss: f32,
    },
    /// To rank 0: the member's file is written.
    Done { member: Member, loss: f32 },
    /// To rank 0: the member could not be trained.
    Failed { member: Member, message: String },
    /// To rank 0: a signal asks to end.
    Signalled,
}

/// What rank 0 knows of the job.
pub(super) struct Coordinator {
    missing: VecDeque<Member>,
    /// Ranks that train nothing.
    idle: Vec<bool>,
    members: usize,
    trained: usize,
    failed: usize,
    signalled: bool,
    ended: bool,
    start: Instant,
    next_line: Duration,
    training_frames: u64,
}

impl Coordinator {
    /// A job of `ranks` ranks that trains the `missing` ones of so many `members`, each on so many frames.
    pub(super) fn new(
        missing: VecDeque<Member>,
        members: usize,
        training_frames: u64,
        ranks: usize,
    ) -> Self {
        Self {
            idle: vec![false; ranks],
            members,
            trained: members - missing.len(),
            missing,
            failed: 0,
            signalled: false,
            ended: false,
            start: Instant::now(),
            next_line: FIRST_LINE,
            training_frames,
        }
    }

    /// Notes what rank `from` replies; assigns the members that are missing, or ends the job.
    pub(super) fn on_reply(&mut self, world: &mut World, from: usize, message: Message) {
        match message {
            Message::Idle => self.idle[from] = true,
            Message::Progress {
                member,
                frames,
                loss,
            } => self.progress(member, frames, loss),
            Message::Done {
                member: (level, number),
                loss,
            } => {
                self.trained += 1;
                say!(
                    "noise level {level}, member {number}: loss {loss:.5} ({} of {} members, {:.0} s)",
                    self.trained,
                    self.members,
                    self.start.elapsed().as_secs_f64()
                );
            }
            Message::Failed {
                member: (level, number),
                message,
            } => {
                self.failed += 1;
                self.missing.clear();
                eprintln!("error: noise level {level}, member {number}: {message}");
            }
            Message::Signalled => self.signalled = true,
            Message::Train(_) | Message::End { .. } => {}
        }
        self.assign(world);
    }

    fn assign(&mut self, world: &mut World) {
        if !self.signalled {
            for rank in 0..self.idle.len() {
                if self.idle[rank]
                    && let Some(member) = self.missing.pop_front()
                {
                    self.idle[rank] = false;
                    world.send(rank, Message::Train(member));
                }
            }
        }
        let over =
            self.signalled || (self.missing.is_empty() && self.idle.iter().all(|idle| *idle));
        if over && !self.ended {
            self.ended = true;
            let status = self.status();
            for rank in 0..self.idle.len() {
                world.send(rank, Message::End { status });
            }
        }
    }

    fn status(&self) -> u8 {
        match (self.trained == self.members, self.signalled, self.failed) {
            (true, ..) => 0,
            (_, true, _) => {
                say!(
                    "stopped by a signal; run the same command again to train the members that are missing"
                );
                STOPPED
            }
            _ => 1,
        }
    }

    /// A line about a member in training, not too often.
    fn progress(&mut self, (level, number): Member, frames: u64, loss: f32) {
        let elapsed = self.start.elapsed();
        if elapsed >= self.next_line {
            self.next_line = elapsed + NEXT_LINES;
            say!(
                "noise level {level}, member {number}: loss {loss:.5} after {:.0} % of its frames",
                100.0 * frames as f64 / self.training_frames as f64
            );
        }
    }
}
