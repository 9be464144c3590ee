//! Segment Anything (SAM) in Burn: encoder, prompt encoder, mask decoder, checkpoints, predictor.
