//! Vascular trees in the plane by space colonisation (Runions et al., *Modeling and visualization of leaf venation patterns*,
//! 2005): tissue that lacks supply pulls the nearest vessel tip. Trees that grow at the same time share the tissue and do not
//! cross. Radii follow Murray's law from the tips down.

use crate::random::Stream;

/// A node of a tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) parent: Option<usize>,
    pub(super) radius: f64,
    /// Which tree.
    pub(super) tree: usize,
}

/// How trees grow, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    /// A point of tissue pulls vessels within this distance.
    pub(super) reach: f64,
    /// A point of tissue is supplied when a vessel is this near.
    pub(super) supplied: f64,
    /// Length of one step.
    pub(super) step: f64,
    /// Radius of the last twigs.
    pub(super) tip: f64,
    /// Share of the old direction in the new one, 0 to 1: stiff vessels run smoothly.
    pub(super) stiffness: f64,
}

/// Where a tree begins, and the direction of its first step.
pub(super) type Root = ((f64, f64), (f64, f64));

/// Grows trees from `roots` towards `tissue`.
pub(super) fn colonise(roots: &[Root], mut tissue: Vec<(f64, f64)>, growth: &Growth, stream: &mut Stream) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut directions = Vec::new();
    for (tree, &((x, y), direction)) in roots.iter().enumerate() {
        nodes.push(Node { x, y, parent: None, radius: 0.0, tree });
        directions.push(direction);
    }
    let mut children = vec![0u8; nodes.len()];
    for _ in 0..600 {
        let mut pulls = vec![(0.0, 0.0, 0u32); nodes.len()];
        for &(tx, ty) in &tissue {
            let mut best = (growth.reach * growth.reach, usize::MAX);
            for (i, node) in nodes.iter().enumerate() {
                let d = (node.x - tx) * (node.x - tx) + (node.y - ty) * (node.y - ty);
                if d < best.0 {
                    best = (d, i);
                }
            }
            if let Some(pull) = pulls.get_mut(best.1) {
                let d = libm::sqrt(best.0).max(1e-6);
                *pull = (pull.0 + (tx - nodes[best.1].x) / d, pull.1 + (ty - nodes[best.1].y) / d, pull.2 + 1);
            }
        }
        let before = nodes.len();
        for i in 0..before {
            let (px, py, count) = pulls[i];
            // Vessels fork in two: a node with two children grows no third.
            if count == 0 || children[i] >= 2 {
                continue;
            }
            let length = libm::sqrt(px * px + py * py);
            if length < 0.2 * f64::from(count) {
                continue;
            }
            let keep = if children[i] == 0 { growth.stiffness } else { 0.25 * growth.stiffness };
            let (ox, oy) = directions[i];
            let jitter = 0.12;
            let dx = keep * ox + (1.0 - keep) * px / length + jitter * stream.normal();
            let dy = keep * oy + (1.0 - keep) * py / length + jitter * stream.normal();
            let norm = libm::sqrt(dx * dx + dy * dy).max(1e-6);
            let (dx, dy) = (dx / norm, dy / norm);
            let (x, y) = (nodes[i].x + growth.step * dx, nodes[i].y + growth.step * dy);
            let crowded = nodes.iter().enumerate().any(|(j, n)| {
                j != i && (n.x - x) * (n.x - x) + (n.y - y) * (n.y - y) < 0.5 * growth.step * growth.step
            });
            if crowded {
                children[i] = 2;
                continue;
            }
            children[i] += 1;
            nodes.push(Node { x, y, parent: Some(i), radius: 0.0, tree: nodes[i].tree });
            directions.push((dx, dy));
            children.push(0);
        }
        if nodes.len() == before {
            break;
        }
        let near = growth.supplied * growth.supplied;
        tissue.retain(|&(tx, ty)| {
            nodes[before..].iter().all(|n| (n.x - tx) * (n.x - tx) + (n.y - ty) * (n.y - ty) > near)
        });
    }
    let mut nodes = prune(nodes, 4);
    thicken(&mut nodes, growth.tip);
    smooth(&mut nodes);
    nodes
}

/// Takes off twigs of fewer than `shortest` nodes: thorns, not vessels.
fn prune(nodes: Vec<Node>, shortest: usize) -> Vec<Node> {
    let mut keep = vec![true; nodes.len()];
    for chain in chains(&nodes) {
        let tip = chain[chain.len() - 1];
        let is_tip = !nodes.iter().any(|n| n.parent == Some(tip));
        if is_tip && chain.len() <= shortest && nodes[chain[0]].parent.is_some() {
            chain[1..].iter().for_each(|&i| keep[i] = false);
        }
    }
    let mut place = vec![0; nodes.len()];
    let mut kept: Vec<Node> = Vec::new();
    for (i, node) in nodes.into_iter().enumerate().filter(|(i, _)| keep[*i]) {
        place[i] = kept.len();
        kept.push(Node { parent: node.parent.map(|p| place[p]), ..node });
    }
    kept
}

/// Murray's law from the tips down; children always stand behind their parents in the list.
fn thicken(nodes: &mut [Node], tip: f64) {
    let mut cubes = vec![0.0; nodes.len()];
    for i in (0..nodes.len()).rev() {
        if cubes[i] == 0.0 {
            cubes[i] = tip * tip * tip;
        }
        nodes[i].radius = libm::cbrt(cubes[i]);
        if let Some(parent) = nodes[i].parent {
            cubes[parent] += cubes[i];
        }
    }
}

/// Takes the corners off: every node moves towards the middle of its parent and its thickest child.
fn smooth(nodes: &mut [Node]) {
    let mut heir: Vec<Option<usize>> = vec![None; nodes.len()];
    for i in 0..nodes.len() {
        if let Some(parent) = nodes[i].parent
            && heir[parent].is_none_or(|h| nodes[h].radius < nodes[i].radius)
        {
            heir[parent] = Some(i);
        }
    }
    for _ in 0..6 {
        let old: Vec<(f64, f64)> = nodes.iter().map(|n| (n.x, n.y)).collect();
        for (i, node) in nodes.iter_mut().enumerate() {
            if let (Some(parent), Some(heir)) = (node.parent, heir[i]) {
                node.x = 0.5 * node.x + 0.25 * (old[parent].0 + old[heir].0);
                node.y = 0.5 * node.y + 0.25 * (old[parent].1 + old[heir].1);
            }
        }
    }
}

/// The trees as strokes: one chain of node indices from each fork (or root) to the next fork or tip.
pub(super) fn chains(nodes: &[Node]) -> Vec<Vec<usize>> {
    let mut count = vec![0u32; nodes.len()];
    nodes.iter().filter_map(|n| n.parent).for_each(|p| count[p] += 1);
    let mut chains = Vec::new();
    for end in (0..nodes.len()).filter(|&i| count[i] != 1) {
        let mut chain = vec![end];
        let mut at = end;
        while let Some(parent) = nodes[at].parent {
            chain.push(parent);
            at = parent;
            if count[parent] != 1 {
                break;
            }
        }
        chain.reverse();
        if chain.len() > 1 {
            chains.push(chain);
        }
    }
    chains
}
