//! Tries algorithms in order until one returns factors that pass a check.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nalgebra::DMatrix;

use super::Factors;
use crate::error::{Attempt, StepFailure};
use crate::product::Schedule;
use crate::svd::Algorithm;

/// One algorithm: a name and a function from a tall matrix to its factors.
pub(super) struct Step<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) run: &'a (dyn Fn(&DMatrix<f64>, Schedule) -> Result<Factors, StepFailure> + Sync),
}

/// The first result that `accept` takes, with the algorithm behind it; otherwise every attempt with the reason for its failure.
/// A panic inside a step counts as a failure of that step.
pub(super) fn climb<R>(
    steps: &[Step<'_>],
    tall: &DMatrix<f64>,
    schedule: Schedule,
    accept: impl Fn(&Factors) -> Result<R, StepFailure>,
) -> Result<(R, Algorithm), Vec<Attempt>> {
    let mut attempts = Vec::new();
    for step in steps {
        let outcome = catch_unwind(AssertUnwindSafe(|| (step.run)(tall, schedule)))
            .unwrap_or_else(|payload| Err(StepFailure::Panicked(message(payload.as_ref()))))
            .and_then(|factors| accept(&factors));
        match outcome {
            Ok(result) => return Ok((result, step.algorithm)),
            Err(failure) => {
                tracing::debug!(algorithm = %step.algorithm, %failure, "singular value decomposition falls back");
                attempts.push(Attempt { algorithm: step.algorithm, failure });
            }
        }
    }
    Err(attempts)
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
