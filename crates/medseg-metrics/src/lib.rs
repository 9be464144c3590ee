//! Segmentation metrics that state their definition: Dice, HD95 in four definitions, NSD, clDice, topology, statistics.
