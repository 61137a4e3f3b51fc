//! The reader's own side.

use std::io::{Read as _, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use portico_model::problem::{Problem, ProblemKind};

use super::confine::confine;
use super::jail::SOURCE;
use super::messages::{self, Order, Said, Task};
use crate::compare::compare;
use crate::error::PublishError;
use crate::rows;
use crate::screening::{How, Progress, screen_file};
use crate::transform::Expressions;

/// Between two reports of progress: as often as a person sees a bar move.
const REPORT: Duration = Duration::from_millis(100);
/// Stack of the thread that reads: schemas are trees, and what walks them recurses. Only what is used takes memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Reads the file `source` in `scratch` as the order on standard input says, and answers on standard output. Ends the
/// process when standard input ends before that: nobody waits for the answer any more. What the data dictionary has
/// computed of the rows is computed by `expressions`, which starts no thread and opens no file.
///
/// # Errors
/// When the order does not come, limits cannot be set or nobody hears the answer. What is wrong with the file is part of
/// the answer.
pub fn read_staged(scratch: &Path, expressions: Expressions) -> Result<(), PublishError> {
    let order: Order = messages::read(&mut std::io::stdin().lock())?;
    std::thread::spawn(|| {
        // Nothing more is said to a reader: this returns when the other end is gone.
        let _ = std::io::stdin().lock().read(&mut [0]);
        std::process::exit(1);
    });
    let reading = std::thread::Builder::new().stack_size(STACK_BYTES);
    let (begin, begun) = std::sync::mpsc::channel();
    let scratch = scratch.to_owned();
    let reading = reading.spawn(move || match begun.recv() {
        Ok(order) => read(&scratch, &order, expressions),
        Err(_) => Ok(()),
    })?;
    // Threads are made before this line, since their stacks count. What comes after it is at the mercy of the file.
    confine(&order.limits, order.cpu_ms)?;
    let _ = begin.send(order);
    reading.join().map_err(|_| PublishError::Write("the reader panicked".into()))?
}

fn read(scratch: &Path, order: &Order, expressions: Expressions) -> Result<(), PublishError> {
    let mut out = std::io::stdout().lock();
    let mut reported: Option<Instant> = None;
    let mut report = |progress: Progress| {
        if reported.is_none_or(|at| at.elapsed() >= REPORT) {
            reported = Some(Instant::now());
            // If nobody hears it, the thread that listens ends this process.
            let _ = messages::write(&mut out, &Said::Progress(progress));
        }
    };
    let limits = &order.limits;
    let done = match &order.task {
        Task::Screen(asked, rules) => {
            let how = How { asked, limits, rules, expressions };
            let screened = screen_file(&scratch.join(SOURCE), &how, scratch, &mut report);
            screened.map(|screened| Said::Screened(Box::new(screened)))
        }
        Task::Compare(comparison) => {
            compare(comparison, limits, scratch).map(|compared| Said::Compared(Box::new(compared)))
        }
        Task::Spell(page) => rows::write(page, limits, scratch).map(Said::Spelt),
    };
    answer(&mut out, done.unwrap_or_else(|error| refusal(&error)))
}

fn answer(out: &mut impl Write, said: Said) -> Result<(), PublishError> {
    match messages::write(out, &said) {
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            let detail =
                "the table has so many columns and files that their statistics are too large to keep; split it";
            Ok(messages::write(out, &Said::Refused(Problem::new(ProblemKind::TooLarge, detail)))?)
        }
        outcome => Ok(outcome?),
    }
}

fn refusal(error: &PublishError) -> Said {
    match error.kind() {
        ProblemKind::Internal => Said::Failed(chain(error)),
        kind => Said::Refused(Problem::new(kind, error.to_string())),
    }
}

fn chain(error: &PublishError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
