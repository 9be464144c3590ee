//! What is trained when: sizes, batches and learning rates as pure functions of the step.

use medseg_train::optimizer::OptimizerConfig;
use medseg_train::{Result, TrainError};
use sam_model::SamConfig;
use serde::{Deserialize, Serialize};

/// A stretch of steps at the same sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Optimiser steps.
    pub steps: u64,
    /// Sides of the scenes in px; step after step the next one.
    pub sizes: Vec<usize>,
    /// Scenes of one step.
    pub batch: usize,
    /// Scenes that go through the model together. The gradients of the shards are added in a fixed order, so the result
    /// does not depend on how many threads work on them.
    pub shard: usize,
}

/// A whole pre-training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Names the initial weights and every scene.
    pub seed: u64,
    /// The model.
    pub model: SamConfig,
    /// The phases in order.
    pub phases: Vec<Phase>,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps of the linear rise from 0.
    pub warmup: u64,
    /// Steps over which the scenes' difficulty rises from 0 to 1.
    pub ramp: u64,
    /// Steps of the linear fall at the end of the last phase.
    pub decay: u64,
    /// Learning rate at the end, as a share of the highest.
    pub floor: f64,
    /// Largest global norm of the gradients.
    pub clip: f32,
}

/// What one step does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSettings {
    /// Index of the step's first scene in the stream of the seed.
    pub first_scene: u64,
    /// Side of its scenes in px.
    pub size: usize,
    /// Scenes.
    pub batch: usize,
    /// Scenes that go through the model together.
    pub shard: usize,
    /// Difficulty of the scenes, 0 to 1.
    pub difficulty: f32,
    /// Learning rate.
    pub learning_rate: f64,
}

impl Plan {
    /// The recipe of sam-mini's weights.
    ///
    /// Small scenes first: a stroke looks the same at 64 px and at 256 px, and a step costs a sixteenth. Of the learning rates
    /// tried, 1.2e-3 learnt more slowly than 6e-4 from the third hundred of steps on.
    pub fn sam_mini() -> Self {
        Self {
            seed: 0,
            model: SamConfig::mini(),
            phases: vec![
                Phase { steps: 3200, sizes: vec![64], batch: 16, shard: 8 },
                Phase { steps: 1700, sizes: vec![128], batch: 8, shard: 2 },
                Phase { steps: 1000, sizes: vec![256, 128, 192], batch: 4, shard: 1 },
            ],
            optimizer: OptimizerConfig::AdamW { beta_1: 0.9, beta_2: 0.99, epsilon: 1e-8, weight_decay: 0.02 },
            learning_rate: 5e-4,
            warmup: 100,
            ramp: 800,
            decay: 1300,
            floor: 0.05,
            clip: 1.0,
        }
    }

    /// The recipe of sam2-mini's weights.
    ///
    /// Its masks have a quarter of the input's resolution, sam-mini's half of it: scenes begin at 128 px, where a line is as wide in
    /// pixels of the mask as at 64 px there.
    pub fn sam2_mini() -> Self {
        Self {
            model: SamConfig::sam2_mini(),
            phases: vec![
                Phase { steps: 987, sizes: vec![128], batch: 8, shard: 4 },
                Phase { steps: 12, sizes: vec![256, 128], batch: 4, shard: 2 },
            ],
            warmup: 100,
            ramp: 800,
            decay: 20,
            ..Self::sam_mini()
        }
    }

    /// Optimiser steps of all phases.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.phases.iter().map(|phase| phase.steps).sum()
    }

    /// What step `step` (from 0) does; `None` past the end.
    #[must_use]
    pub fn settings(&self, step: u64) -> Option<StepSettings> {
        let (mut start, mut first_scene) = (0, 0);
        for phase in &self.phases {
            let done = step - start;
            if done < phase.steps {
                return Some(StepSettings {
                    first_scene: first_scene + done * phase.batch as u64,
                    size: phase.sizes[(done % phase.sizes.len() as u64) as usize],
                    batch: phase.batch,
                    shard: phase.shard,
                    difficulty: (step as f32 / self.ramp.max(1) as f32).min(1.0),
                    learning_rate: self.learning_rate * self.factor(step),
                });
            }
            start += phase.steps;
            first_scene += phase.steps * phase.batch as u64;
        }
        None
    }

    /// The factor on the learning rate: up, level, down. The level part lets a run be prolonged: as long as no step taken so far
    /// would have been another one, a longer plan continues a shorter one.
    fn factor(&self, step: u64) -> f64 {
        let rise = (step + 1) as f64 / self.warmup.max(1) as f64;
        let left = (self.steps() - step) as f64 / self.decay.max(1) as f64;
        let fall = self.floor + (1.0 - self.floor) * left.min(1.0);
        rise.min(1.0) * fall
    }

    /// Whether a run that took `steps` steps under `other` may go on under this plan.
    #[must_use]
    pub fn continues(&self, other: &Plan, steps: u64) -> bool {
        self.seed == other.seed
            && self.model == other.model
            && self.optimizer == other.optimizer
            && self.clip == other.clip
            && (0..steps).all(|step| self.settings(step).is_some() && self.settings(step) == other.settings(step))
    }

    /// Checks every field.
    ///
    /// # Errors
    /// The first field that no run can have.
    pub fn validate(&self) -> Result<()> {
        self.model.validate()?;
        self.optimizer.validate()?;
        if self.phases.is_empty() {
            return Err(TrainError::config("phases", "at least one is needed, found none"));
        }
        for (index, phase) in self.phases.iter().enumerate() {
            let field = |name: &str| format!("phases[{index}].{name}");
            if phase.batch == 0 || phase.shard == 0 || phase.shard > phase.batch {
                let found = format!("batch {}, shard {}", phase.batch, phase.shard);
                return Err(TrainError::config(field("shard"), format!("must lie in 1..=batch, found {found}")));
            }
            let multiple = self.model.input_multiple();
            let fits = |size: &usize| (32..=2048).contains(size) && size.is_multiple_of(multiple);
            if phase.sizes.is_empty() || !phase.sizes.iter().all(fits) {
                let expected = format!("must be multiples of the patch ({multiple} px) in 32..=2048");
                return Err(TrainError::config(field("sizes"), format!("{expected}, found {:?}", phase.sizes)));
            }
        }
        let rate = self.learning_rate;
        if !(rate > 0.0 && rate < 1.0) {
            return Err(TrainError::config("learning-rate", format!("must lie in (0, 1), found {rate}")));
        }
        if !(0.0..=1.0).contains(&self.floor) {
            return Err(TrainError::config("floor", format!("must lie in 0..=1, found {}", self.floor)));
        }
        if !(self.clip > 0.0 && self.clip.is_finite()) {
            return Err(TrainError::config("clip", format!("must be above 0, found {}", self.clip)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, Plan};

    fn plan(low: u64, high: u64) -> Plan {
        let phase = |steps, sizes: &[usize], batch| Phase { steps, sizes: sizes.to_vec(), batch, shard: 2 };
        Plan {
            phases: vec![phase(low, &[64], 4), phase(high, &[128, 96], 2)],
            warmup: 10,
            decay: 20,
            ..Plan::sam_mini()
        }
    }

    #[test]
    fn sizes_scenes_and_rates_follow_the_phases() {
        let plan = plan(50, 30);
        let at = |step| plan.settings(step).unwrap();
        assert_eq!((at(0).size, at(0).first_scene), (64, 0));
        assert_eq!((at(49).size, at(49).first_scene), (64, 196));
        assert_eq!((at(50).size, at(51).size, at(52).size), (128, 96, 128));
        assert_eq!(at(51).first_scene, 202);
        assert!(plan.settings(80).is_none());
        let rates: Vec<f64> = (0..80).map(|step| at(step).learning_rate / plan.learning_rate).collect();
        assert!((rates[0] - 0.1).abs() < 1e-12 && rates[9] == 1.0 && rates[59] == 1.0);
        assert!(rates[60..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(rates[79] > plan.floor && rates[79] < 0.15);
    }

    #[test]
    fn a_longer_plan_continues_a_shorter_one_before_its_decay() {
        let (short, long) = (plan(50, 30), plan(50, 300));
        assert!(long.continues(&short, 61));
        assert!(!long.continues(&short, 62));
        assert!(short.continues(&short, 80));
        assert!(!Plan { seed: 1, ..short.clone() }.continues(&short, 1));
        assert!(!plan(40, 30).continues(&short, 41));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Plan::sam_mini().validate().is_ok());
        let mut bad = Plan::sam_mini();
        bad.phases[0].sizes = vec![100];
        assert!(bad.validate().unwrap_err().to_string().contains("multiples of the patch"));
        let mut bad = Plan::sam_mini();
        bad.phases[1].shard = 9;
        assert!(bad.validate().unwrap_err().to_string().contains("phases[1].shard"));
        assert!(Plan { phases: Vec::new(), ..Plan::sam_mini() }.validate().is_err());
    }
}
