//! Vessel segmentation data sets, transforms, synthetic data and batches for Burn.
