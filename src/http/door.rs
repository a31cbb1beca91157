//! The loop: one thread takes connections in, and has each go on when its socket, its handler or the clock says so.
//! It waits in one place only, for all of them at once. It ends when asked to, and for no other reason.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::Handlers;
use super::answers::Answers;
use super::capacity::Capacity;
use super::connection::{Connection, Turn, turn_away};
use super::gauges::{Gauges, count_closed};
use super::limits::Limits;
use super::listener::Listener;
use super::pool::Pool;
use super::reply::Outcome;
use super::shared::{READ_BYTES, Shared};
use super::slots::{Slots, Token};
use super::socket::Socket;
use super::stop::Stop;
use super::timers::Timers;
use super::unsent::Unsent;
use crate::metrics::{count_shed, metrics};
use crate::service::Live;

/// How long the loop takes no connections in when the system, or the house, has no more room.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest wait.
const PULSE: Duration = Duration::from_secs(1);
/// How often the same trouble is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Connections taken from one listener before others get their turn.
const ACCEPT_BATCH: usize = 64;
/// Events taken from the kernel at once.
const EVENT_BATCH: usize = 512;
/// Connections chosen at once to make room for others.
const EVICTION_BATCH: usize = 256;
/// Later deadlines are no deadlines.
const HORIZON: Duration = Duration::from_secs(24 * 60 * 60);

/// What an event is about, where it is not about a connection.
const ANSWERS: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;
const FIRST_LISTENER: u64 = u64::MAX - 1024;

/// The state of the loop.
pub(super) struct Door {
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    /// While set, nobody is let in.
    pause_ends: Option<Instant>,
    connections: Slots<Connection>,
    capacity: Capacity,
    timers: Timers,
    /// Connections that have more to do and let others go first.
    yielding: VecDeque<Token>,
    /// Who makes room next, the longest waiting first, if it still waits as it did then.
    spare: VecDeque<(Token, (bool, Instant))>,
    shared: Shared,
    stop: Stop,
    stop_ends: Option<Instant>,
    last_logged: Option<Instant>,
    gauges: Gauges,
}

impl Door {
    pub(super) fn new(
        listeners: Vec<Listener>,
        live: &Arc<Live<Limits>>,
        stop: &Stop,
        handlers: Handlers,
    ) -> io::Result<Self> {
        let version = live.version();
        let limits = live.get();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let answers = Arc::new(Answers::new()?);
        let once = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &*answers, epoll::EventData::new_u64(ANSWERS), once)?;
        epoll::add(&epoll, stop, epoll::EventData::new_u64(STOP), once)?;
        for (number, listener) in (FIRST_LISTENER..STOP).zip(&listeners) {
            epoll::add(&epoll, listener, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        let shared = Shared {
            pool: Pool::new(&handlers.threads, &limits),
            live: Arc::clone(live),
            version,
            handlers,
            answers,
            unsent: Unsent::default(),
            last_request_id: 0,
            is_stopping: false,
            now: Instant::now(),
            room: Box::new([0; READ_BYTES]),
            limits,
        };
        Ok(Self {
            epoll,
            listeners,
            pause_ends: None,
            connections: Slots::default(),
            capacity: Capacity::new(&shared.limits),
            timers: Timers::default(),
            yielding: VecDeque::new(),
            spare: VecDeque::new(),
            shared,
            stop: stop.clone(),
            stop_ends: None,
            last_logged: None,
            gauges: Gauges::new(),
        })
    }

    /// Serves until the stop, and then until all connections have ended or have had their time.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENT_BATCH);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), self.timeout().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    self.log(&error.into());
                    std::thread::sleep(PAUSE);
                }
            }
            self.shared.now = Instant::now();
            self.shared.handlers.pulse.fetch_add(1, Ordering::Relaxed);
            self.take_new_limits();
            for event in &events {
                self.take_event(event.data.u64(), event.flags);
            }
            self.let_yielding_go_on();
            self.fire_timers();
            self.free_memory();
            self.end_pause();
            if self.shared.handlers.is_counted {
                self.gauges.show(&self.connections, &self.shared);
            }
            if self.stop.is_requested() && self.stop_ends.is_none() {
                self.begin_stop();
            }
            if self.stop_ends.is_some_and(|ends| self.connections.len() == 0 || self.shared.now >= ends) {
                break;
            }
        }
        if self.connections.len() > 0 {
            tracing::warn!(connections = self.connections.len(), "requests were still running at the end of the stop");
        }
    }

    /// Goes on by new bounds, if there are some. Deadlines that are set already stay.
    fn take_new_limits(&mut self) {
        if self.shared.take_new_limits() {
            self.capacity.set_limits(&self.shared.limits);
        }
    }

    /// How long nothing has to be done without an event; at most a second, so that the pulse is felt.
    fn timeout(&self) -> Option<Timespec> {
        if !self.yielding.is_empty() {
            return Some(Timespec::default());
        }
        let next = [self.timers.next(), self.pause_ends, self.stop_ends].into_iter().flatten().min();
        let wait = next.map_or(PULSE, |next| next.saturating_duration_since(Instant::now()).min(PULSE));
        Timespec::try_from(wait).ok()
    }

    fn take_event(&mut self, about: u64, flags: epoll::EventFlags) {
        match about {
            ANSWERS => self.take_answers(),
            // Looked at in every round.
            STOP => {}
            FIRST_LISTENER.. => {
                let index = usize::try_from(about - FIRST_LISTENER).unwrap_or(usize::MAX);
                self.accept(index);
            }
            _ => {
                let token = Token::from_bits(about);
                let ended = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
                if let Some(connection) = self.connections.get_mut(token)
                    && flags.intersects(epoll::EventFlags::IN | ended)
                {
                    connection.set_readable(flags.intersects(ended));
                    if flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                        connection.set_gone();
                    }
                }
                self.go_on(token);
            }
        }
    }

    fn take_answers(&mut self) {
        for (token, id, outcome) in self.shared.answers.take() {
            let connection = self.connections.get_mut(token).filter(|connection| connection.awaits(id));
            match (connection, outcome) {
                (Some(connection), Outcome::Answer(response)) => connection.answer(response, &self.shared),
                (Some(connection), Outcome::Receive(receiver)) => connection.receive_for(receiver, &mut self.shared),
                (None, Outcome::Answer(_)) => continue,
                (None, Outcome::Receive(receiver)) => {
                    self.shared.pool.discard(receiver);
                    continue;
                }
            }
            self.go_on(token);
        }
    }

    /// Lets a connection do what it can.
    fn go_on(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        match connection.run(token, &mut self.shared) {
            Turn::Wait => self.set_timer(token),
            Turn::Yield => {
                self.set_timer(token);
                self.yielding.push_back(token);
            }
            Turn::Close => self.close(token),
        }
    }

    fn close(&mut self, token: Token) {
        if let Some(mut connection) = self.connections.remove(token) {
            connection.abandon(&self.shared);
            self.capacity.leave(connection.peer);
            if let Some(held) = connection.take_held() {
                self.shared.unsent.give_back(&held);
            }
            if let Some(receiver) = connection.take_receiver() {
                self.shared.pool.discard(receiver);
            }
        }
    }

    /// Those that yield in this round wait for the next.
    fn let_yielding_go_on(&mut self) {
        for _ in 0..self.yielding.len() {
            if let Some(token) = self.yielding.pop_front() {
                self.go_on(token);
            }
        }
    }

    fn set_timer(&mut self, token: Token) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let deadline = connection.deadline;
        if connection.timer.is_none_or(|timer| deadline < timer) && deadline < self.shared.now + HORIZON {
            connection.timer = Some(deadline);
            self.timers.enter(deadline, token);
        }
    }

    fn fire_timers(&mut self) {
        let now = self.shared.now;
        while let Some((at, token)) = self.timers.take_due(now) {
            let Some(connection) = self.connections.get_mut(token).filter(|open| open.timer == Some(at)) else {
                continue;
            };
            connection.timer = None;
            if connection.deadline > now {
                self.set_timer(token);
                continue;
            }
            match connection.expire(&mut self.shared) {
                Turn::Close => self.close(token),
                Turn::Wait | Turn::Yield => self.go_on(token),
            }
        }
        let connections = &mut self.connections;
        let n_open = connections.len();
        self.timers.tidy(n_open, |at, token| connections.get_mut(token).is_some_and(|open| open.timer == Some(at)));
    }

    /// Closes those that have been slow for longest while answers take too much memory.
    fn free_memory(&mut self) {
        while let Some(token) = self.shared.unsent.next_to_go(self.shared.limits.max_unsent_bytes) {
            tracing::info!("a slow client is closed: answers that wait for such take too much memory");
            count_closed("max-unsent");
            self.close(token);
        }
    }

    /// Takes connections in, a batch at a time.
    fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPT_BATCH {
            let is_full = self.connections.len() >= self.capacity.max(self.shared.now);
            if is_full && !self.evict(self.shared.limits.eviction_age) {
                count_shed("max-connections");
                return self.pause();
            }
            let Some(listener) = self.listeners.get(index) else {
                return;
            };
            match listener.accept() {
                Ok((socket, peer)) => self.admit(socket, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    self.log(&error);
                    self.shrink();
                    return self.pause();
                }
            }
            // Only of the first is it known that it waits: nobody makes room for one who may not be there.
            if is_full {
                return;
            }
        }
    }

    fn admit(&mut self, socket: Socket, peer: Option<IpAddr>) {
        if !self.capacity.enter(peer) {
            return turn_away(&socket, "max-connections-per-address");
        }
        if self.shared.handlers.is_counted {
            metrics().connections_accepted.inc();
        }
        let token = self.connections.insert(Connection::new(socket, peer, &self.shared));
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        // Edge-triggered and for all that may come: no further call is needed for the life of the connection.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(token.to_bits());
        if let Err(error) = epoll::add(&self.epoll, &connection.socket, data, flags) {
            turn_away(&connection.socket, "max-connections");
            self.log(&error.into());
            return self.close(token);
        }
        self.set_timer(token);
    }

    /// The process has no more files: connections go until those that may be open are, and one at least. Files are
    /// needed for answers, too.
    fn shrink(&mut self) {
        self.capacity.look_again();
        let max = self.capacity.max(self.shared.now).min(self.connections.len().saturating_sub(1));
        while self.connections.len() > max && self.evict(Duration::ZERO) {}
    }

    /// Closes the connection that can best be spared: the one that has waited longest for a request, else the one that
    /// has taken longest to send a head; none that has a request, and none that has waited for less than `age`. A full
    /// house does not shut honest clients out.
    fn evict(&mut self, age: Duration) -> bool {
        if self.spare.is_empty() {
            self.choose_spare(age);
        }
        while let Some((token, waits)) = self.spare.pop_front() {
            if self.connections.get_mut(token).is_some_and(|open| open.waits_since() == Some(waits)) {
                count_closed("max-connections");
                self.close(token);
                return true;
            }
        }
        false
    }

    fn choose_spare(&mut self, age: Duration) {
        let now = self.shared.now;
        let waiting = self.connections.iter().filter_map(|(token, open)| Some((token, open.waits_since()?)));
        let mut waiting: Vec<_> = waiting.filter(|(_, (_, since))| now.duration_since(*since) >= age).collect();
        waiting.sort_unstable_by_key(|(_, waits)| *waits);
        waiting.truncate(EVICTION_BATCH);
        self.spare = waiting.into();
    }

    /// Lets nobody in for a moment: listeners would say again and again that somebody is there.
    fn pause(&mut self) {
        self.pause_ends = Some(self.shared.now + PAUSE);
        self.listen_for(epoll::EventFlags::empty());
    }

    fn end_pause(&mut self) {
        if self.pause_ends.is_some_and(|ends| ends <= self.shared.now) {
            self.pause_ends = None;
            self.listen_for(epoll::EventFlags::IN);
        }
    }

    fn listen_for(&mut self, flags: epoll::EventFlags) {
        let modify = |(number, listener): (u64, &Listener)| {
            epoll::modify(&self.epoll, listener, epoll::EventData::new_u64(number), flags)
        };
        let failed = (FIRST_LISTENER..STOP).zip(&self.listeners).map(modify).find_map(Result::err);
        if let Some(error) = failed {
            self.log(&error.into());
        }
    }

    /// Takes in those that connected before the stop, since they may have sent a request already; then nobody more.
    fn begin_stop(&mut self) {
        self.shared.is_stopping = true;
        self.stop_ends = self.shared.now.checked_add(self.shared.limits.stop_timeout);
        for listener in std::mem::take(&mut self.listeners) {
            while self.connections.len() < self.capacity.max(self.shared.now) {
                match listener.accept() {
                    Ok((socket, peer)) => self.admit(socket, peer),
                    Err(error) if is_passing(&error) && error.kind() != io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
        }
        self.pause_ends = None;
        let open: Vec<Token> = self.connections.iter().map(|(token, _)| token).collect();
        for token in open {
            if let Some(connection) = self.connections.get_mut(token) {
                connection.begin_stop(&self.shared);
            }
            self.go_on(token);
        }
        self.fire_timers();
    }

    /// Trouble that may come a thousand times a second is logged once a minute.
    fn log(&mut self, error: &io::Error) {
        if self.last_logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            self.last_logged = Some(Instant::now());
            tracing::error!(%error, "cannot take a connection; going on");
        }
    }
}

/// Whether only the one connection failed: the client left before we came, or another listener took it.
fn is_passing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::CONNRESET | Errno::PROTO))
}
