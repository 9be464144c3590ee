//! The engine: losses, training loop, checkpoints, evaluation and reports for fine-tuning SAM.
