//! Connections that are lost together with a statement, or with its answer, while a process works on
//! segments. A proxy of each connection loses them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use diesel::Connection;
use diesel::connection::{InstrumentationEvent, SimpleConnection};
use persisting_message_bus::handler::{External, HandlerError, PageHandler};
use persisting_message_bus::operate::RunHandle;
use persisting_message_bus::sql::StatementWatch;
use persisting_message_bus::{Message, MessageConsumer, ParallelConsumer, RetryPolicy, Runner};
use persisting_message_bus_tests::seed;

use super::begun::{Log, publish, published};
use super::records::{Verdict, assert_exactly_once, judge};
use super::running::has_ended_well;
use super::segments;
use super::sql::{Sql, effects};
use super::topic::{Numbered, Orders};
use super::traces::divide;
use super::woken_holders::Beside;

/// The number of the only process.
pub const OWN: u32 = 1;

/// Longer than a test waits, so that it fails if a lease must expire.
pub const HOUR: Duration = Duration::from_secs(3_600);
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The first page of a thread has room for all messages, unless pages are small.
const MESSAGES: u64 = 7;
const ORDERS: u64 = 4;
const SMALL: usize = 3;
pub const LARGE: usize = 100;

/// One of so many statements is lost, which are others each time. In a soak, each is lost.
const STEPS: usize = 4;

/// A process with fewer statements would show that its statements are not seen.
const AT_LEAST: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The statement does not arrive at the server.
    Statement,
    /// The server carries the statement out, and its answer does not arrive.
    Answer,
}

const BOTH: [Lost; 2] = [Lost::Statement, Lost::Answer];

/// The requests that run a statement: Query and Bind of PostgreSQL, COM_QUERY and COM_STMT_EXECUTE of
/// MariaDB. Other requests prepare it.
const RUNS: [u8; 4] = [b'Q', b'B', 0x03, 0x17];

/// A proxy of one connection.
struct Line {
    lost: Lost,
    is_postgres: bool,
    /// Whether the next request that runs a statement is lost, or its answer.
    is_due: AtomicBool,
    is_cut: AtomicBool,
}

impl Line {
    /// Returns the address of a server through a new proxy, and the proxy.
    fn before(address: &str, lost: Lost) -> (String, Arc<Self>) {
        let (credentials, rest) = address.split_once('@').unwrap();
        let (server, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Self {
            lost,
            is_postgres: address.starts_with("postgres"),
            is_due: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
        });
        let (own, server) = (Arc::clone(&line), server.to_owned());
        thread::spawn(move || own.carry(&listener, &server));
        (format!("{credentials}@127.0.0.1:{port}/{path}"), line)
    }

    fn carry(self: Arc<Self>, listener: &TcpListener, server: &str) -> io::Result<()> {
        let (client, _) = listener.accept()?;
        let server = TcpStream::connect(server)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let requests = [client.try_clone()?, server.try_clone()?];
        let line = Arc::clone(&self);
        thread::spawn(move || forward(requests, |request| line.lets_through(request)));
        forward([server, client], |_| !self.is_cut.load(Ordering::SeqCst));
        Ok(())
    }

    fn lets_through(&self, request: &[u8]) -> bool {
        if self.is_due.load(Ordering::SeqCst) && self.runs_statement(request) {
            self.is_cut.store(true, Ordering::SeqCst);
        }
        self.lost == Lost::Answer || !self.is_cut.load(Ordering::SeqCst)
    }

    fn runs_statement(&self, mut requests: &[u8]) -> bool {
        loop {
            let (request, length) = match *requests {
                [request, a, b, c, d, ..] if self.is_postgres => {
                    (request, 1 + u32::from_be_bytes([a, b, c, d]))
                }
                [a, b, c, _, request, ..] => (request, 4 + u32::from_le_bytes([a, b, c, 0])),
                _ => return false,
            };
            if RUNS.contains(&request) {
                return true;
            }
            let next = length as usize;
            requests = requests.get(next..).unwrap_or_default();
        }
    }
}

/// Sends on what arrives, until a side ends the connection or something must not pass.
fn forward([mut from, mut to]: [TcpStream; 2], passes: impl Fn(&[u8]) -> bool) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut bytes) {
        if read == 0 || !passes(&bytes[..read]) || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    for side in [from, to] {
        // It can have ended before.
        let _ended = side.shutdown(Shutdown::Both);
    }
}

type Choose = Box<dyn FnMut(&str) -> bool + Send>;

/// Decides which statement of a process is lost, or its answer: the first one that is chosen.
struct Plan {
    lost: Lost,
    /// `None` after that.
    choose: Mutex<Option<Choose>>,
}

impl Plan {
    fn new(lost: Lost, choose: impl FnMut(&str) -> bool + Send + 'static) -> Arc<Self> {
        let choose: Choose = Box::new(choose);
        Arc::new(Self {
            lost,
            choose: Mutex::new(Some(choose)),
        })
    }

    fn has_happened(&self) -> bool {
        self.choose.lock().unwrap().is_none()
    }

    fn loses(&self, statement: &str) -> bool {
        let mut choose = self.choose.lock().unwrap();
        let is_chosen = choose.as_mut().is_some_and(|choose| choose(statement));
        if is_chosen {
            eprintln!("{:?} lost: {statement}", self.lost);
            *choose = None;
        }
        is_chosen
    }
}

fn connect<D: Sql<Connection: Connection>>(address: &str, plan: &Arc<Plan>) -> D::Connection {
    let (address, line) = Line::before(address, plan.lost);
    let (mut bus, plan) = (D::connect_at(&address), Arc::clone(plan));
    let watch = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && plan.loses(&query.to_string())
        {
            line.is_due.store(true, Ordering::SeqCst);
        }
    };
    bus.set_instrumentation(StatementWatch::around(watch));
    bus
}

/// Starts a process.
fn start<D, H>(database: &D, plan: &Arc<Plan>, consumer: ParallelConsumer<Orders, H>) -> RunHandle
where
    D: Sql<Connection: Connection>,
    H: PageHandler<Orders, D::Connection> + Send + 'static,
{
    let (address, plan) = (database.address(), Arc::clone(plan));
    Runner::new(move || Ok::<_, io::Error>(connect::<D>(&address, &plan)))
        .idle_interval(Duration::from_millis(5))
        .retry(RetryPolicy::default().initial_delay(Duration::ZERO))
        .parallel(consumer)
        .start()
}

/// Whether a handler has begun.
type Begun = Arc<AtomicBool>;

type Handler = Box<dyn FnMut(&Message<Orders>) -> Result<(), HandlerError> + Send>;

/// Returns a consumer in two segments, with two threads and an external handler.
pub fn telling(
    name: &str,
    page: usize,
    tell: impl Fn(&Message<Orders>) + Clone + Send + Sync + 'static,
) -> ParallelConsumer<Orders, External<Handler>> {
    let name = name.to_owned();
    let make = move || {
        let tell = tell.clone();
        let handler: Handler = Box::new(move |message: &Message<Orders>| {
            tell(message);
            Ok(())
        });
        MessageConsumer::<Orders>::external(name.clone(), handler)
            .page_size(page)
            .lease_duration(HOUR)
    };
    ParallelConsumer::by_key(make).segments(2).threads(2)
}

/// Returns a consumer that inserts an effect for each message, and notes that it has begun.
fn paying<D: Sql>(
    name: String,
    begun: Begun,
) -> ParallelConsumer<Orders, impl PageHandler<Orders, D::Connection> + Send + 'static> {
    let make = move || {
        let begun = Arc::clone(&begun);
        let pay = move |bus: &mut D::Connection, message: &Message<Orders>| {
            begun.store(true, Ordering::SeqCst);
            effects(bus, [message.payload().numbers()])?;
            Ok(())
        };
        MessageConsumer::<Orders>::transactional(name.clone(), pay)
            .page_size(SMALL)
            .lease_duration(HOUR)
    };
    ParallelConsumer::by_key(make).segments(2).threads(2)
}

fn finish(running: RunHandle) {
    running.caught_up_within(PATIENCE).unwrap();
    has_ended_well(running);
}

/// Lets a process handle all messages. It begins each of them once.
fn tell<D>(database: &D, plan: &Arc<Plan>, name: &str, page: usize)
where
    D: Sql<Connection: Connection>,
{
    let log = Arc::<Log>::default();
    let noted = Arc::clone(&log);
    let consumer = telling(name, page, move |message| noted.note(OWN, message));
    finish(start(database, plan, consumer));
    let verdict = judge(&log.records(), &published(MESSAGES, ORDERS), &[]);
    assert_eq!(verdict, Verdict::default(), "{name}");
}

/// Lets a process handle all messages. Each of them has its effect once.
fn pay<D>((database, bus): (&D, &mut D::Connection), plan: &Arc<Plan>, name: &str, begun: Begun)
where
    D: Sql<Connection: Connection>,
{
    bus.batch_execute("DELETE FROM effects").unwrap();
    let consumer = paying::<D>(name.to_owned(), begun);
    finish(start(database, plan, consumer));
    assert_exactly_once(D::effects(bus), &published(MESSAGES, ORDERS));
}

/// Runs processes, each of which loses another statement, or the answer to it.
fn lose_each(mut run: impl FnMut(&Arc<Plan>, &str)) {
    let is_soak = std::env::var_os("SOAK_SECONDS").is_some();
    let steps = if is_soak { 1 } else { STEPS };
    let mut random = fastrand::Rng::with_seed(seed());
    for lost in BOTH {
        let first = random.usize(1..=steps);
        for number in (first..).step_by(steps) {
            let mut left = number;
            let plan = Plan::new(lost, move |_| {
                left -= 1;
                left == 0
            });
            run(&plan, &format!("{lost:?} {number}"));
            if !plan.has_happened() {
                assert!(number > AT_LEAST, "only {number} statements");
                break;
            }
        }
    }
}

/// Replays `where_renewals_name_the_owner_only` and `where_a_process_takes_its_own_segment`: the answer
/// to a take is lost. A thread of the process takes the segment again, although the lease lasts on. The
/// segment of a thread that is in its handler is not taken.
pub fn a_take_without_an_answer_is_repeated_at_once<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = divide::<D>(2);
    let (beside, other) = (Beside::default(), Beside::other_segment());
    let name = format!("all/{other} of 2");
    let plan = Plan::new(Lost::Answer, move |statement| {
        let takes = statement.contains("lease_epoch") && statement.contains(" + 1, ");
        takes && statement.contains(&name)
    });
    let own = beside.clone();
    let consumer = telling("all", LARGE, move |message| own.handle(message));
    let running = start(&database, &plan, consumer);
    running.caught_up_within(PATIENCE).unwrap();
    let before = segments(&mut bus, "all")[usize::from(other)].lease_epoch;
    beside.enter(&mut bus);
    beside.go_on(&mut bus);
    // The take without an answer has begun an epoch, and so has the next one.
    assert_eq!(beside.first_token_of(other), before + 2);
    assert_eq!(beside.end(running, &[]), Verdict::default());
}

/// Replays `where_a_lost_store_is_forgotten`: the messages are handled, and the cursor after them is stored
/// or not. The process keeps what it knows until the store is confirmed or refused.
pub fn a_release_that_is_not_confirmed_repeats_nothing<D: Sql<Connection: Connection>>() {
    for lost in BOTH {
        let (database, mut bus) = divide::<D>(1);
        publish(&mut bus, 0..MESSAGES, ORDERS);
        let plan = Plan::new(lost, |statement| {
            statement.contains("cursor_moved_at") && statement.contains("= NULL, ")
        });
        tell(&database, &plan, "all", LARGE);
        assert!(plan.has_happened());
        let row = segments(&mut bus, "all").remove(0);
        assert_eq!((row.lease_owner, row.work), (None, None), "{lost:?}");
    }
}

/// Replays `where_a_lost_commit_keeps_the_segment`: the process does not know whether the server has
/// committed. It reads the cursor again.
pub fn a_commit_that_is_not_confirmed_has_its_effects_once<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = D::with_effects();
    publish(&mut bus, 0..MESSAGES, ORDERS);
    for lost in BOTH {
        let begun = Begun::default();
        let is_begun = Arc::clone(&begun);
        let plan = Plan::new(lost, move |statement| {
            statement.starts_with("COMMIT") && is_begun.load(Ordering::SeqCst)
        });
        pay((&database, &mut bus), &plan, &format!("{lost:?}"), begun);
        assert!(plan.has_happened());
    }
}

/// Replays the losses of `lost_and_late_answers`, at any statement of a process.
pub fn an_external_handler_repeats_nothing_after_a_loss<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = D::with_effects();
    publish(&mut bus, 0..MESSAGES, ORDERS);
    lose_each(|plan, name| tell(&database, plan, name, SMALL));
}

/// Does the same with a transactional handler.
pub fn a_transactional_handler_repeats_nothing_after_a_loss<D: Sql<Connection: Connection>>() {
    let (database, mut bus) = D::with_effects();
    publish(&mut bus, 0..MESSAGES, ORDERS);
    lose_each(|plan, name| pay((&database, &mut bus), plan, name, Begun::default()));
}
