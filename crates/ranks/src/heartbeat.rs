//! Whether the other hosts are still there.
//!
//! MPI may wait for ever for a host that was cut off, within a collective operation as well, where no rank can look at its
//! messages. So every rank has a thread that knows nothing of MPI: it sends rank 0 a datagram now and then, which rank 0
//! answers. Rank 0 ends the job when a rank falls silent, a rank ends itself when rank 0 does; the launcher does the rest.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use signal_hook::low_level::exit;

use crate::launcher;

/// Beats within the time after which silence means that a host is gone.
const BEATS: u32 = 8;
const LONGEST_BEAT: Duration = Duration::from_secs(5);
const DATAGRAM_BYTES: usize = 512;

/// How ranks reach rank 0, and when silence is too long.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Invitation {
    addresses: Vec<SocketAddr>,
    /// Tells this job's datagrams from others'.
    token: u64,
    host: String,
    timeout: Duration,
}

/// What a rank sends, and rank 0 sends back.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Beat {
    token: u64,
    rank: usize,
    host: String,
}

/// Opens the socket of rank 0, on `host`.
///
/// # Errors
/// The system's reason.
pub(crate) fn invite(
    token: u64,
    host: String,
    timeout: Duration,
) -> std::io::Result<(UdpSocket, Invitation)> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let port = socket.local_addr()?.port();
    let interfaces = if_addrs::get_if_addrs()?;
    let addresses = interfaces.iter().map(if_addrs::Interface::ip);
    let invitation = Invitation {
        addresses: addresses
            .filter(IpAddr::is_ipv4)
            .map(|ip| SocketAddr::new(ip, port))
            .collect(),
        token,
        host,
        timeout,
    };
    Ok((socket, invitation))
}

impl Invitation {
    fn beat(&self) -> Duration {
        (self.timeout / BEATS).min(LONGEST_BEAT)
    }
}

struct Peer {
    /// When it was heard last, or first listened for.
    last: Instant,
    heard: bool,
    /// Whether it was named as one that was never heard.
    named: bool,
}

/// Which peers have been silent for too long.
struct Silence {
    peers: Vec<Peer>,
    looked: Instant,
    timeout: Duration,
}

enum Lost {
    /// Heard once, and then no more.
    Silent(usize),
    /// Never heard: named once, because it may be the network that lets nothing through.
    NeverHeard(usize),
}

impl Silence {
    fn new(peers: usize, timeout: Duration, now: Instant) -> Self {
        let peer = |_| Peer {
            last: now,
            heard: false,
            named: false,
        };
        Self {
            peers: (0..peers).map(peer).collect(),
            looked: now,
            timeout,
        }
    }

    fn hear(&mut self, peer: usize, now: Instant) {
        let peer = &mut self.peers[peer];
        (peer.last, peer.heard) = (now, true);
    }

    /// The first peer that was lost, to be asked for much more often than silence takes to be too long.
    fn lost(&mut self, now: Instant) -> Option<Lost> {
        // A process that was suspended has heard nobody meanwhile.
        if now - self.looked > self.timeout / 2 {
            self.peers.iter_mut().for_each(|peer| peer.last = now);
        }
        self.looked = now;
        let lost = |peer: &Peer| now - peer.last > self.timeout && !peer.named;
        let place = self.peers.iter().position(lost)?;
        let peer = &mut self.peers[place];
        peer.named = !peer.heard;
        Some(match peer.heard {
            true => Lost::Silent(place),
            false => Lost::NeverHeard(place),
        })
    }
}

/// Listens for the other ranks on a thread of its own, as rank 0 of `ranks`.
///
/// # Errors
/// The system's reason.
pub(crate) fn listen(
    socket: UdpSocket,
    invitation: Invitation,
    ranks: usize,
) -> std::io::Result<()> {
    let beat = invitation.beat();
    socket.set_read_timeout(Some(beat))?;
    let mut hosts = vec![String::new(); ranks - 1];
    let mut silence = Silence::new(ranks - 1, invitation.timeout, Instant::now());
    spawn(move || {
        let mut bytes = [0; DATAGRAM_BYTES];
        loop {
            if let Some((length, beat, from)) = receive(&socket, &mut bytes, &invitation)
                && let Some(peer) = beat.rank.checked_sub(1).filter(|&peer| peer < hosts.len())
            {
                silence.hear(peer, Instant::now());
                // What is lost on the way is asked for again by the next beat.
                let _ = socket.send_to(&bytes[..length], from);
                hosts[peer] = beat.host;
            }
            match silence.lost(Instant::now()) {
                Some(Lost::Silent(peer)) => end("", peer + 1, &hosts[peer], invitation.timeout),
                Some(Lost::NeverHeard(peer)) => eprintln!(
                    "warning: no UDP datagram of rank {} reaches rank 0 on {}: should the host of either vanish, the job \
                     may wait for ever",
                    peer + 1,
                    invitation.host
                ),
                None => {}
            }
        }
    })
}

/// Beats for `rank` on `host` and listens for rank 0, on a thread of its own.
///
/// # Errors
/// The system's reason.
pub(crate) fn follow(invitation: Invitation, rank: usize, host: String) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    let pause = invitation.beat();
    socket.set_read_timeout(Some(pause))?;
    let beat = Beat {
        token: invitation.token,
        rank,
        host,
    };
    let mut silence = Silence::new(1, invitation.timeout, Instant::now());
    spawn(move || {
        let mut bytes = [0; DATAGRAM_BYTES];
        let mut addresses = invitation.addresses.clone();
        loop {
            let sent = Instant::now();
            if let Ok(datagram) = postcard::to_slice(&beat, &mut bytes) {
                for address in &addresses {
                    let _ = socket.send_to(datagram, address);
                }
            }
            while sent.elapsed() < pause {
                match receive(&socket, &mut bytes, &invitation) {
                    Some((_, _, from)) => {
                        addresses = vec![from];
                        silence.hear(0, Instant::now());
                    }
                    None => thread::sleep(pause / 16),
                }
            }
            if let Some(Lost::Silent(_)) = silence.lost(Instant::now()) {
                let here = format!("rank {rank} on {}: ", beat.host);
                end(&here, 0, &invitation.host, invitation.timeout);
            }
        }
    })
}

fn spawn(job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new()
        .name("heartbeat".into())
        .spawn(job)
        .map(drop)
}

/// Ends this process at once, because `rank` is gone: no handler of a library may wait for it.
fn end(here: &str, rank: usize, host: &str, timeout: Duration) -> ! {
    eprintln!(
        "error: {here}nothing was heard from rank {rank} on {host} for {} s (--peer_timeout): its host is down or cut \
         off, so the job ends; run the same command again to continue",
        timeout.as_secs()
    );
    launcher::end_soon();
    exit(1)
}

/// The next datagram of this job and its length, if one comes in time.
fn receive(
    socket: &UdpSocket,
    bytes: &mut [u8],
    invitation: &Invitation,
) -> Option<(usize, Beat, SocketAddr)> {
    let (length, from) = socket.recv_from(bytes).ok()?;
    let beat: Beat = postcard::from_bytes(&bytes[..length]).ok()?;
    (beat.token == invitation.token).then_some((length, beat, from))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    /// Looks every second from `from` to `to` seconds; what was lost, and when.
    fn look(silence: &mut Silence, start: Instant, from: u64, to: u64) -> Option<(u64, Lost)> {
        (from..=to).find_map(|second| {
            let lost = silence.lost(start + Duration::from_secs(second))?;
            Some((second, lost))
        })
    }

    #[test]
    fn a_peer_that_falls_silent_is_lost_after_the_timeout() {
        let start = Instant::now();
        let mut silence = Silence::new(2, TIMEOUT, start);
        (0..2).for_each(|peer| silence.hear(peer, start));
        assert!(look(&mut silence, start, 1, 15).is_none());
        silence.hear(1, start + Duration::from_secs(15));
        let lost = look(&mut silence, start, 16, 60);
        assert!(matches!(lost, Some((21, Lost::Silent(0)))));
    }

    #[test]
    fn a_peer_that_was_never_heard_is_named_once_and_ends_nothing() {
        let start = Instant::now();
        let mut silence = Silence::new(1, TIMEOUT, start);
        let lost = look(&mut silence, start, 1, 60);
        assert!(matches!(lost, Some((21, Lost::NeverHeard(0)))));
        assert!(look(&mut silence, start, 22, 100).is_none());
        silence.hear(0, start + Duration::from_secs(100));
        let lost = look(&mut silence, start, 101, 200);
        assert!(matches!(lost, None | Some((121, Lost::Silent(0)))));
    }

    #[test]
    fn a_job_that_was_suspended_gives_its_peers_time() {
        let start = Instant::now();
        let mut silence = Silence::new(1, TIMEOUT, start);
        silence.hear(0, start);
        assert!(look(&mut silence, start, 1, 5).is_none());
        assert!(look(&mut silence, start, 3600, 3615).is_none());
        let lost = look(&mut silence, start, 3616, 3700);
        assert!(matches!(lost, Some((3621, Lost::Silent(0)))));
    }

    #[test]
    fn a_rank_finds_rank_0() -> std::io::Result<()> {
        // The rank's thread lives as long as the tests: it must not miss rank 0 meanwhile.
        let (socket, invitation) = invite(7, "here".into(), Duration::from_secs(86_400))?;
        follow(invitation.clone(), 3, "there".into())?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        let (_, beat, _) = receive(&socket, &mut [0; DATAGRAM_BYTES], &invitation)
            .ok_or(std::io::ErrorKind::TimedOut)?;
        assert_eq!((beat.rank, beat.host.as_str()), (3, "there"));
        Ok(())
    }
}
