//! Who gets a turn, and when.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;

const LONG: Duration = Duration::from_millis(300);

fn queue(running: usize, per_address: u64, waiting: u64, waiting_per_address: u64, wait_ms: u64) -> Queue {
    let limits = QueryLimits {
        spare_workers: 0,
        running_per_address: per_address,
        waiting,
        waiting_per_address,
        queue_wait_ms: wait_ms,
        ..QueryLimits::default()
    };
    Queue::new(&limits, running)
}

/// Workers and spare ones, and blocks that may have two questions running.
fn with_spare(workers: usize, spare_workers: u64) -> Queue {
    let limits = QueryLimits { spare_workers, queue_wait_ms: 60_000, ..QueryLimits::default() };
    Queue::new(&limits, workers)
}

/// A future in the queue: polled once, so that it has its place.
fn waiting<'a>(queue: &'a Queue, block: &'a str) -> BoxFuture<'a, Result<Turn, Problem>> {
    let mut future = queue.enter(block).boxed();
    assert!((&mut future).now_or_never().is_none(), "{block} did not have to wait");
    future
}

/// A turn that is there at once.
fn enter(queue: &Queue, block: &str) -> Turn {
    queue.enter(block).now_or_never().unwrap_or_else(|| panic!("{block} has to wait")).unwrap()
}

/// The turn has come.
fn comes(future: BoxFuture<'_, Result<Turn, Problem>>) -> Turn {
    future.now_or_never().expect("it still waits").unwrap()
}

/// The block has asked before, and this is what it took.
fn asked(queue: &Queue, block: &str, work_ms: u64) {
    enter(queue, block).charge(Duration::from_millis(work_ms));
}

/// Time passes for the turns of a block, and work is done.
fn works(queue: &Queue, turns: &[(&str, &Turn)]) {
    for (block, _) in turns {
        queue.shared.lock().age(block, LONG);
    }
    for (_, turn) in turns {
        turn.charge(LONG);
    }
}

fn is_called_back(turn: &Turn) -> bool {
    turn.called_back().now_or_never().is_some()
}

#[tokio::test]
async fn blocks_take_turns() {
    let queue = queue(1, 1, 100, 100, 60_000);
    let held = queue.enter("a").await.unwrap();
    let mut waiters = vec![
        ("a1", waiting(&queue, "a")),
        ("a2", waiting(&queue, "a")),
        ("a3", waiting(&queue, "a")),
        ("b1", waiting(&queue, "b")),
        ("c1", waiting(&queue, "c")),
        ("b2", waiting(&queue, "b")),
    ];
    // All of them have asked before.
    for block in ["a", "b", "c"] {
        queue.shared.lock().remember(block, Duration::ZERO);
    }
    let mut order = Vec::new();
    let mut held = Some(held);
    while !waiters.is_empty() {
        held.take();
        let mut next = None;
        for (index, (_, future)) in waiters.iter_mut().enumerate() {
            if let Some(turn) = future.now_or_never() {
                next = Some((index, turn.unwrap()));
                break;
            }
        }
        let (index, turn) = next.unwrap();
        order.push(waiters.remove(index).0);
        held = Some(turn);
    }
    drop(held);
    assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
    assert_eq!((queue.running(), queue.waiting()), (0, 0));
    assert!(queue.shared.lock().is_empty());
}

#[tokio::test]
async fn one_address_does_not_take_every_worker() {
    let queue = queue(3, 2, 100, 100, 60_000);
    let first = enter(&queue, "a");
    let _second = enter(&queue, "a");
    let third = waiting(&queue, "a");
    let _other = enter(&queue, "b");
    drop(first);
    let _third = comes(third);
}

#[tokio::test]
async fn full_queues_refuse_and_say_when_to_come_back() {
    let queue = queue(1, 1, 2, 1, 60_000);
    let _running = enter(&queue, "a");
    let _a = waiting(&queue, "a");
    let own = queue.enter("a").await.unwrap_err();
    assert_eq!(own.kind, ProblemKind::TooManyRequests);
    assert!(own.retry_after_s.is_some());
    let _b = waiting(&queue, "b");
    let all = queue.enter("c").await.unwrap_err();
    assert_eq!(all.kind, ProblemKind::Unavailable);
    assert!(all.retry_after_s.is_some());
}

#[tokio::test]
async fn waiting_ends() {
    let queue = queue(1, 1, 10, 10, 1);
    let _running = enter(&queue, "a");
    assert_eq!(queue.enter("b").await.unwrap_err().kind, ProblemKind::Unavailable);
    assert_eq!(queue.enter("a").await.unwrap_err().kind, ProblemKind::TooManyRequests);
    assert_eq!(queue.waiting(), 0);
}

#[tokio::test]
async fn leaving_the_queue_makes_room_even_after_the_turn_has_come() {
    let queue = queue(1, 1, 10, 10, 60_000);
    let running = enter(&queue, "a");
    let leaver = waiting(&queue, "b");
    let stayer = waiting(&queue, "c");
    drop(waiting(&queue, "d"));
    assert_eq!(queue.waiting(), 2);
    drop(running);
    assert_eq!(queue.running(), 1);
    drop(leaver);
    let _stayer = comes(stayer);
    assert_eq!((queue.running(), queue.waiting()), (1, 0));
}

#[tokio::test]
async fn heavy_blocks_leave_a_worker_to_others() {
    let queue = with_spare(4, 0);
    for block in ["a", "b", "c", "d"] {
        asked(&queue, block, 4_000);
    }
    let first = enter(&queue, "a");
    let _others = (enter(&queue, "b"), enter(&queue, "c"));
    let fourth = waiting(&queue, "d");
    let newcomer = enter(&queue, "e");
    assert!(first.is_heavy() && !newcomer.is_heavy());
    drop(newcomer);
    drop(first);
    let _fourth = comes(fourth);
}

#[tokio::test]
async fn a_heavy_question_runs_when_only_downloads_do() {
    let queue = with_spare(4, 0);
    asked(&queue, "a", 4_000);
    let downloads = [("b", enter(&queue, "b")), ("c", enter(&queue, "c")), ("d", enter(&queue, "d"))];
    for (block, turn) in &downloads {
        turn.begin();
        works(&queue, &[(block, turn)]);
    }
    let _heavy = enter(&queue, "a");
    let _light = waiting(&queue, "e");
    assert!(downloads.iter().all(|(_, turn)| !is_called_back(turn)));
}

#[tokio::test]
async fn of_heavy_blocks_the_one_with_the_least_recent_work_goes_first() {
    let queue = queue(1, 1, 100, 100, 60_000);
    asked(&queue, "a", 9_000);
    asked(&queue, "b", 3_000);
    let running = enter(&queue, "x");
    let (a, b) = (waiting(&queue, "a"), waiting(&queue, "b"));
    drop(running);
    drop(comes(b));
    drop(comes(a));
}

#[tokio::test]
async fn known_light_blocks_go_before_unknown_and_unknown_before_heavy_ones() {
    let queue = queue(1, 1, 100, 100, 60_000);
    asked(&queue, "heavy", 9_000);
    asked(&queue, "light", 10);
    let running = enter(&queue, "x");
    let (heavy, unknown, light) = (waiting(&queue, "heavy"), waiting(&queue, "unknown"), waiting(&queue, "light"));
    drop(running);
    drop(comes(light));
    drop(comes(unknown));
    drop(comes(heavy));
}

#[tokio::test]
async fn a_spare_worker_is_for_those_who_are_known() {
    let queue = with_spare(2, 3);
    asked(&queue, "light", 10);
    let (a, b) = (enter(&queue, "a"), enter(&queue, "b"));
    // The two may be about to end: a stranger waits.
    let stranger = waiting(&queue, "c");
    let light = enter(&queue, "light");
    drop(light);
    works(&queue, &[("a", &a), ("b", &b)]);
    let third = comes(stranger);
    works(&queue, &[("c", &third)]);
    // One spare worker is left, and not for a stranger.
    let _stranger = waiting(&queue, "d");
    let _light = enter(&queue, "light");
}

#[tokio::test]
async fn a_slow_question_of_a_stranger_is_called_back_when_somebody_waits_for_its_place() {
    let queue = with_spare(2, 0);
    let (older, younger) = (enter(&queue, "a"), enter(&queue, "b"));
    works(&queue, &[("a", &older)]);
    works(&queue, &[("a", &older), ("b", &younger)]);
    assert!(!is_called_back(&older) && !is_called_back(&younger));
    let stranger = waiting(&queue, "c");
    // The one that loses least.
    assert!(is_called_back(&younger) && !is_called_back(&older));
    drop(younger);
    let third = comes(stranger);
    let mut again = queue.enter_again("b", None).boxed();
    assert!((&mut again).now_or_never().is_none());
    drop(older);
    let again = comes(again);
    works(&queue, &[("b", &again), ("c", &third)]);
    let _fourth = waiting(&queue, "d");
    assert!(again.is_heavy() && !is_called_back(&again), "once is enough");
    assert!(is_called_back(&third));
}

#[tokio::test]
async fn nobody_is_called_back_who_answers_or_waits_for_something_else_than_a_processor() {
    let queue = with_spare(2, 0);
    let (answers, waits) = (enter(&queue, "a"), enter(&queue, "b"));
    answers.begin();
    works(&queue, &[("a", &answers)]);
    queue.shared.lock().age("b", LONG);
    let _stranger = waiting(&queue, "c");
    assert!(!is_called_back(&answers) && !is_called_back(&waits));
}

#[tokio::test]
async fn strangers_wait_for_each_other_while_their_questions_are_quick() {
    let queue = with_spare(1, 0);
    let running = enter(&queue, "a");
    let _stranger = waiting(&queue, "b");
    running.charge(LONG);
    assert!(!is_called_back(&running));
    queue.shared.lock().age("a", LONG);
    running.charge(Duration::ZERO);
    assert!(is_called_back(&running));
}
