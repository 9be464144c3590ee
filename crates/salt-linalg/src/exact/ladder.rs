//! Tries algorithms in order until one returns factors that pass a check.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nalgebra::DMatrix;

use super::factors::Factors;
use crate::algorithm::Algorithm;
use crate::error::{Attempt, StepFailure};
use crate::product::Schedule;

/// From a tall matrix to its factors.
type Decompose<'a> = dyn Fn(&DMatrix<f64>, Schedule) -> Result<Factors, StepFailure> + Sync + 'a;

/// One algorithm with its name.
pub(super) struct Step<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) run: &'a Decompose<'a>,
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::exact::steps;

    fn identity(tall: &DMatrix<f64>) -> Factors {
        let size = tall.ncols();
        Factors { left: DMatrix::identity(size, size), values: vec![1.0; size], right: DMatrix::identity(size, size) }
    }

    fn believe(_: &Factors) -> Result<(), StepFailure> {
        Ok(())
    }

    #[test]
    fn every_kind_of_failure_leads_to_the_next_step_and_is_recorded() {
        let fails = |_: &DMatrix<f64>, _: Schedule| Err(StepFailure::NoConvergence);
        let panics = |_: &DMatrix<f64>, _: Schedule| -> Result<Factors, StepFailure> { panic!("index {} is wrong", 3) };
        let wrong = |tall: &DMatrix<f64>, _: Schedule| Ok(Factors { values: vec![2.0; 3], ..identity(tall) });
        let works = |tall: &DMatrix<f64>, _: Schedule| Ok(identity(tall));
        let rejected = StepFailure::Inaccurate { quantity: "the relative residual", found: 1.0, limit: 0.0 };
        let check =
            |factors: &Factors| if factors.values[0] == 1.0 { Ok(factors.values.len()) } else { Err(rejected.clone()) };

        let tall = DMatrix::identity(3, 3);
        let steps = [
            Step { algorithm: Algorithm::GramEigen, run: &fails },
            Step { algorithm: Algorithm::Bidiagonal, run: &panics },
            Step { algorithm: Algorithm::RandomizedPower, run: &wrong },
            Step { algorithm: Algorithm::Jacobi, run: &works },
        ];
        assert_eq!(climb(&steps, &tall, Schedule::Sequential, check).unwrap(), (3, Algorithm::Jacobi));

        let attempts = climb(&steps[..3], &tall, Schedule::Sequential, check).unwrap_err();
        let failures: Vec<StepFailure> = attempts.into_iter().map(|attempt| attempt.failure).collect();
        assert_eq!(
            failures,
            [StepFailure::NoConvergence, StepFailure::Panicked("index 3 is wrong".to_owned()), rejected]
        );
        assert!(climb(&[], &tall, Schedule::Sequential, believe).unwrap_err().is_empty());
    }

    /// Every real step alone, on matrices with which all of them must cope.
    #[test]
    fn each_step_decomposes_by_itself() {
        let regular = DMatrix::from_fn(40, 15, |i, j| ((i * 7 + j * 13) as f64).sin() + if i == j { 3.0 } else { 0.0 });
        let deficient = DMatrix::from_fn(40, 15, |i, j| ((i + j) as f64).sin());
        let steps = steps::ladder(true);
        let cases = steps.iter().map(|step| (step, &regular)).chain(steps[1..].iter().map(|step| (step, &deficient)));
        for (step, tall) in cases {
            let factors = (step.run)(tall, Schedule::Sequential).unwrap();
            let mut scaled = factors.left.clone();
            for (mut column, &value) in scaled.column_iter_mut().zip(&factors.values) {
                column *= value;
            }
            let error = (scaled * factors.right.transpose() - tall).norm() / tall.norm();
            assert!(error < 1e-13, "{}: {error}", step.algorithm);
            let defect = factors.left.tr_mul(&factors.left) - DMatrix::<f64>::identity(15, 15);
            assert!(defect.norm() < 1e-10, "{}: {}", step.algorithm, defect.norm());
            assert!(factors.values.windows(2).all(|pair| pair[0] >= pair[1]), "{}", step.algorithm);
        }
    }

    #[test]
    fn the_gram_step_refuses_what_it_cannot_resolve() {
        let mut tall = DMatrix::<f64>::identity(6, 4);
        tall[(3, 3)] = 1e-9;
        let step = &steps::ladder(true)[0];
        assert!(matches!((step.run)(&tall, Schedule::Sequential), Err(StepFailure::IllConditioned { .. })));
        assert_eq!(steps::ladder(false).first().map(|step| step.algorithm), Some(Algorithm::Bidiagonal));
    }
}
