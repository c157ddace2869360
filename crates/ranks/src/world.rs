//! The ranks of a job of MPI, the messages between them and their collective operations: the one module that calls MPI.
//!
//! Ranks communicate in two ways, each with a communicator of its own. Typed messages go from one rank to another and do all the
//! work: sending and receiving return at once, and ranks poll for what has arrived. Collective operations are entered by all ranks
//! together, at the start and at the end of a job. A rank that waits sleeps between polls, so that waiting costs no core.

use std::collections::VecDeque;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::request::{Request, StaticScope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{decode, encode};
use crate::{
    ARRIVING, OnNode, RankFailure, StartError, end_job_on_panic, heartbeat, launched_ranks,
};

const POLL: Duration = Duration::from_millis(1);

/// Open MPI's shared file pointers, which nothing here uses, overflow a buffer on paths of over 200 characters: they are off
/// unless the user has set this variable.
const SHARED_FILE_POINTERS: (&str, &str) = ("OMPI_MCA_sharedfp", "^lockedfile");

/// A message that this rank is sending: MPI reads `bytes` until `request` is complete.
struct Outgoing {
    request: Request<'static, [u8], StaticScope>,
    /// Of [`Arc::into_raw`]: a message to all ranks is in memory once.
    bytes: *const Vec<u8>,
}

/// A message that this rank is receiving: MPI fills `bytes` until `request` is complete.
struct Incoming {
    from: usize,
    request: Option<Request<'static, [u8], StaticScope>>,
    bytes: *mut [u8],
}

/// The job, as this rank sees it.
pub struct World {
    messages: SimpleCommunicator,
    collectives: SimpleCommunicator,
    /// Messages of this rank to itself.
    loopback: VecDeque<Arc<Vec<u8>>>,
    outgoing: Vec<Outgoing>,
    /// In the order of arrival.
    incoming: VecDeque<Incoming>,
    /// Bytes of `outgoing` and of `incoming`.
    leaving: usize,
    arriving: usize,
}

impl World {
    /// Starts MPI and installs the hook by which a panic anywhere ends the whole job.
    ///
    /// # Errors
    /// MPI without thread support, or a launcher of another MPI library, under which every process is alone.
    pub fn start() -> Result<(Universe, Self), StartError> {
        let (variable, value) = SHARED_FILE_POINTERS;
        if std::env::var_os(variable).is_none() {
            // SAFETY: the process has one thread until MPI starts.
            unsafe { std::env::set_var(variable, value) };
        }
        let (universe, granted) = mpi::initialize_with_threading(mpi::Threading::Funneled)
            .ok_or(StartError::Initialised)?;
        if granted < mpi::Threading::Funneled {
            return Err(StartError::Threads {
                granted: format!("{granted:?}"),
            });
        }
        end_job_on_panic(|| abort());
        let world = universe.world();
        check_launcher(world.size() as usize)?;
        let world = Self {
            messages: world.duplicate(),
            collectives: world.duplicate(),
            loopback: VecDeque::new(),
            outgoing: Vec::new(),
            incoming: VecDeque::new(),
            leaving: 0,
            arriving: 0,
        };
        Ok((universe, world))
    }

    /// This rank, from 0.
    pub fn rank(&self) -> usize {
        self.messages.rank() as usize
    }

    /// This rank's place among those of its node. Collective.
    pub fn on_node(&self) -> OnNode {
        let node = self.collectives.split_shared(self.messages.rank());
        OnNode {
            rank: node.rank() as usize,
            ranks: node.size() as usize,
        }
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.messages.size() as usize
    }

    /// Whether this is rank 0, which gives out the work and writes to the terminal.
    pub fn is_root(&self) -> bool {
        self.rank() == 0
    }

    /// Begins to watch whether the other ranks' hosts are still there: a rank that is not heard for `timeout` ends the job. Collective.
    pub fn watch_peers(&self, timeout: Duration) {
        if self.size() == 1 {
            return;
        }
        let host = mpi::environment::processor_name().unwrap_or_default();
        let token = RandomState::new().build_hasher().finish();
        let invited = self
            .is_root()
            .then(|| heartbeat::invite(token, host.clone(), timeout));
        let (socket, invitation) = match invited.transpose() {
            Ok(invited) => invited.unzip(),
            Err(error) => {
                eprintln!("warning: rank 0 on {host}: no UDP socket: {error}");
                (None, None)
            }
        };
        let Some(invitation) = self.broadcast(self.is_root().then_some(invitation)) else {
            return;
        };
        let watching = match socket {
            Some(socket) => heartbeat::listen(socket, invitation, self.size()),
            None => heartbeat::follow(invitation, self.rank(), host),
        };
        if let Err(error) = watching {
            eprintln!(
                "warning: rank {}: other hosts are not watched: {error}",
                self.rank()
            );
        }
    }

    /// Sends a message; returns at once.
    pub fn send<M: Serialize>(&mut self, to: usize, message: M) {
        self.send_bytes(to, Arc::new(encode(&message)));
    }

    /// Sends a message to every rank; returns at once.
    pub fn send_to_all<M: Serialize>(&mut self, message: M) {
        let bytes = Arc::new(encode(&message));
        for rank in 0..self.size() {
            self.send_bytes(rank, bytes.clone());
        }
    }

    fn send_bytes(&mut self, to: usize, bytes: Arc<Vec<u8>>) {
        if to == self.rank() {
            self.loopback.push_back(bytes);
            return;
        }
        self.leaving += bytes.len();
        let bytes = Arc::into_raw(bytes);
        // SAFETY: `bytes` comes from `Arc::into_raw` and is given up only in `free_sent`, after MPI has completed the request; nobody
        // writes to what an `Arc` shares.
        let buffer: &'static [u8] = unsafe { &*bytes };
        let request = self
            .messages
            .process_at_rank(to as i32)
            .immediate_send(StaticScope, buffer);
        self.outgoing.push(Outgoing { request, bytes });
    }

    /// Bytes of the messages that were sent and have not left this rank.
    pub fn backlog(&self) -> usize {
        self.leaving
    }

    /// Whether a message is leaving or arriving: MPI moves it only while it is called.
    pub fn in_transit(&self) -> bool {
        !self.outgoing.is_empty() || !self.incoming.is_empty()
    }

    /// The next message that has arrived, with its sender. Messages of one sender arrive in the order in which they were sent. A job has
    /// one type of messages.
    pub fn receive<M: DeserializeOwned>(&mut self) -> Option<(usize, M)> {
        let arrived = self.take_arrived().or_else(|| {
            self.free_sent();
            self.begin_receiving();
            self.take_arrived()
        });
        // Messages of this rank to itself come last: a rank that answers itself at once would receive no other.
        match arrived {
            Some((from, bytes)) => Some((from, decode(&bytes))),
            None => Some((self.rank(), decode(&self.loopback.pop_front()?))),
        }
    }

    /// Begins to receive messages that other ranks have sent, as long as those that are arriving hold less than `ARRIVING` bytes.
    fn begin_receiving(&mut self) {
        while self.arriving < ARRIVING
            && let Some((message, status)) = self.messages.any_process().immediate_matched_probe()
        {
            let length = status.count(u8::equivalent_datatype()) as usize;
            self.arriving += length;
            let bytes = Box::into_raw(vec![0_u8; length].into_boxed_slice());
            // SAFETY: `bytes` comes from `Box::into_raw` and is touched by MPI alone until the request is complete.
            let buffer: &'static mut [u8] = unsafe { &mut *bytes };
            self.incoming.push_back(Incoming {
                from: status.source_rank() as usize,
                request: Some(message.immediate_matched_receive_into(StaticScope, buffer)),
                bytes,
            });
        }
    }

    /// Takes the first message that has arrived completely, except where an earlier message of the same sender is still arriving.
    fn take_arrived(&mut self) -> Option<(usize, Vec<u8>)> {
        let mut waited_for = vec![false; self.size()];
        for place in 0..self.incoming.len() {
            let incoming = &mut self.incoming[place];
            if waited_for[incoming.from] {
                continue;
            }
            match incoming.request.take().map(Request::test) {
                Some(Err(pending)) => {
                    waited_for[incoming.from] = true;
                    incoming.request = Some(pending);
                }
                _ => {
                    let Incoming { from, bytes, .. } = self.incoming.remove(place)?;
                    self.arriving -= bytes.len();
                    // SAFETY: MPI has completed the request, the only user of these bytes; see `receive`.
                    return Some((from, unsafe { Box::from_raw(bytes) }.into_vec()));
                }
            }
        }
        None
    }

    /// Waits until the messages of all ranks have been delivered, and drops those that arrive here. Collective, at the end: MPI must not
    /// end while a message is on its way.
    pub fn drain(&mut self) {
        self.drop_until(|world| world.outgoing.is_empty());
        let mut barrier = Some(self.collectives.immediate_barrier());
        self.drop_until(|_| {
            if let Some(Err(pending)) = barrier.take().map(Request::test) {
                barrier = Some(pending);
            }
            barrier.is_none()
        });
        self.drop_until(|world| {
            world.begin_receiving();
            world.incoming.is_empty()
        });
    }

    /// Receives and drops messages until `done`.
    fn drop_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        loop {
            self.free_sent();
            self.begin_receiving();
            while self.take_arrived().is_some() {}
            if done(self) {
                return;
            }
            thread::sleep(POLL);
        }
    }

    /// Frees the buffers of the messages that MPI has sent.
    fn free_sent(&mut self) {
        for outgoing in std::mem::take(&mut self.outgoing) {
            match outgoing.request.test() {
                Ok(_) => {
                    // SAFETY: MPI has completed the request, which read these bytes; see `send_bytes`.
                    let bytes = unsafe { Arc::from_raw(outgoing.bytes) };
                    self.leaving -= bytes.len();
                }
                Err(request) => self.outgoing.push(Outgoing {
                    request,
                    bytes: outgoing.bytes,
                }),
            }
        }
    }

    /// Waits, asleep between polls, until all ranks have called this. Collective.
    fn wait_for_all(&self) {
        let mut request = self.collectives.immediate_barrier();
        while let Err(pending) = request.test() {
            request = pending;
            thread::sleep(POLL);
        }
    }

    /// Compares the outcomes of all ranks: where all succeeded, each rank gets its own value back; else all get the same failure.
    /// Collective. A rank that has failed could not enter the next collective operation, so this one comes before it.
    ///
    /// # Errors
    /// The failure of the lowest rank that failed.
    pub fn agree<T, E: Display>(&self, outcome: Result<T, E>) -> Result<T, RankFailure> {
        self.wait_for_all();
        let failing = if outcome.is_err() {
            self.rank() as u64
        } else {
            u64::MAX
        };
        let mut first = u64::MAX;
        self.collectives
            .all_reduce_into(&failing, &mut first, SystemOperation::min());
        match outcome {
            Ok(value) if first == u64::MAX => Ok(value),
            outcome => {
                let message = outcome.err().map(|error| error.to_string());
                let failure = message.map(|message| RankFailure {
                    rank: self.rank(),
                    message,
                });
                Err(self.broadcast_from(first as usize, failure))
            }
        }
    }

    /// Gives rank 0's value to every rank; only rank 0 passes one. Collective.
    pub fn broadcast<T: Serialize + DeserializeOwned>(&self, value: Option<T>) -> T {
        self.wait_for_all();
        self.broadcast_from(0, value)
    }

    /// Gives the value of rank `root` to every rank; only `root` passes one.
    fn broadcast_from<T: Serialize + DeserializeOwned>(&self, root: usize, value: Option<T>) -> T {
        let root = self.collectives.process_at_rank(root as i32);
        let mut bytes = value.as_ref().map(encode).unwrap_or_default();
        let mut length = bytes.len() as u64;
        root.broadcast_into(&mut length);
        bytes.resize(length as usize, 0);
        for piece in bytes.chunks_mut(1 << 30) {
            root.broadcast_into(piece);
        }
        value.unwrap_or_else(|| decode(&bytes))
    }

    /// Collects the number of every rank on rank 0, in the order of ranks; the other ranks get none. Collective.
    pub fn gather(&self, value: u64) -> Vec<u64> {
        self.wait_for_all();
        let root = self.collectives.process_at_rank(0);
        if self.is_root() {
            let mut all = vec![0; self.size()];
            root.gather_into_root(&value, &mut all);
            all
        } else {
            root.gather_into(&value);
            Vec::new()
        }
    }

    /// Collects the text of every rank on rank 0, in the order of ranks; the other ranks get none. Collective.
    pub fn gather_text(&self, text: &str) -> Vec<String> {
        let lengths = self.gather(text.len() as u64);
        let root = self.collectives.process_at_rank(0);
        if !self.is_root() {
            root.gather_varcount_into(text.as_bytes());
            return Vec::new();
        }
        let counts: Vec<i32> = lengths.iter().map(|&length| length as i32).collect();
        let starts: Vec<i32> = counts
            .iter()
            .scan(0, |end, count| {
                *end += count;
                Some(*end - count)
            })
            .collect();
        let mut bytes = vec![0; counts.iter().sum::<i32>() as usize];
        let mut texts = PartitionMut::new(&mut bytes[..], &counts[..], &starts[..]);
        root.gather_varcount_into_root(text.as_bytes(), &mut texts);
        let mut rest = &bytes[..];
        let texts = counts.iter().map(|&count| {
            let (text, others) = rest.split_at(count as usize);
            rest = others;
            String::from_utf8_lossy(text).into_owned()
        });
        texts.collect()
    }
}

/// Ends all ranks.
fn abort() -> ! {
    if mpi::environment::is_initialized() && !mpi::environment::is_finalized() {
        // SAFETY: MPI is initialised and not finalised; MPI_Abort takes the predefined world and does not return.
        unsafe { mpi::ffi::MPI_Abort(mpi::ffi::RSMPI_COMM_WORLD, 1) };
    }
    std::process::abort();
}

/// Checks that MPI sees the processes that the launcher has started: under the launcher of another MPI library each is alone.
fn check_launcher(size: usize) -> Result<(), StartError> {
    if let Some((variable, expected)) = launched_ranks()
        && expected != size
        && size == 1
    {
        let library = mpi::environment::library_version().unwrap_or_default();
        let library = library.lines().next().unwrap_or_default().trim();
        return Err(StartError::WrongLauncher {
            variable,
            expected,
            found: size,
            library: library.to_string(),
        });
    }
    Ok(())
}
