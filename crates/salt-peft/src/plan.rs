//! The dry run: what a configuration would do to a module, from shapes alone.

use crate::config::{AdapterConfig, Layout, Method, Rank, SaltForm};
use crate::error::PeftError;
use crate::layer::{Kind, outputs_inputs};
use crate::model::{Site, Snapshot};
use crate::pattern::{PatternMap, compile, require_match, sample};
use burn::module::Module;
use serde::Serialize;
use std::fmt;

/// What attaching would do. Nothing of the module is initialised or changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The weights that get an adapter.
    pub layers: Vec<PlannedLayer>,
    /// The parameters that are trained in full.
    pub trained: Vec<PlannedParameter>,
    /// The parameters that stay as they are.
    pub frozen: Vec<PlannedParameter>,
    /// Statistics of normalisation layers, which are no parameters.
    pub buffers: Vec<PlannedParameter>,
}

/// A parameter and its size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedParameter {
    /// Path in the module.
    pub path: String,
    /// Shape in Burn's layout.
    pub shape: Vec<usize>,
}

impl PlannedParameter {
    /// Number of values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn of(site: &Site) -> Self {
        Self { path: site.path.clone(), shape: site.shape.clone() }
    }
}

/// A weight that gets an adapter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedLayer {
    /// Path of the weight.
    pub path: String,
    /// The struct that holds it.
    pub container: String,
    /// Shape in Burn's layout.
    pub shape: Vec<usize>,
    /// How it is read as a matrix.
    pub layout: Layout,
    /// The adapted ranges of the outputs.
    pub parts: Vec<PlannedPart>,
}

/// An adapted range of outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedPart {
    /// First output.
    pub start: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Number of inputs.
    pub inputs: usize,
    /// The method with its ranks; none where a rule needs the values of the weight.
    pub kind: Option<Kind>,
    #[serde(skip)]
    pub(crate) recipe: Recipe,
}

impl PlannedPart {
    /// Number of singular values.
    pub fn full_rank(&self) -> usize {
        self.outputs.min(self.inputs)
    }

    /// Trained parameters; none where a rule needs the values of the weight.
    pub fn trainable(&self) -> Option<usize> {
        Some(self.kind.as_ref()?.trainable(self.outputs, self.inputs))
    }
}

/// The numbers from which a [`Kind`] follows once the SVD rank is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recipe {
    method: Method,
    form: SaltForm,
    pub(crate) svd_rank: Rank,
    lora_rank: usize,
    scale: f64,
}

impl Recipe {
    pub(crate) fn kind(&self, svd_rank: usize) -> Kind {
        match self.method {
            Method::Lora => Kind::Lora { rank: self.lora_rank, scale: self.scale },
            Method::Dora => Kind::Dora { rank: self.lora_rank, scale: self.scale },
            Method::Svd => Kind::Svd { relu: self.form != SaltForm::Linear },
            _ => Kind::Salt { svd_rank, lora_rank: self.lora_rank, form: self.form },
        }
    }

    /// Whether the method needs the singular vectors of the weight.
    pub(crate) fn needs_basis(&self) -> bool {
        matches!(self.method, Method::Svd | Method::Salt)
    }

    /// Whether all triplets are needed, or only the top ones.
    pub(crate) fn needs_full_basis(&self) -> bool {
        self.method == Method::Svd || (self.form != SaltForm::Projector && self.lora_rank > 0)
    }
}

impl Plan {
    /// Trained parameters, all together; none where a rank depends on values.
    pub fn trainable(&self) -> Option<usize> {
        let adapters =
            self.layers.iter().flat_map(|layer| &layer.parts).map(PlannedPart::trainable).sum::<Option<usize>>()?;
        Some(adapters + self.trained.iter().map(PlannedParameter::count).sum::<usize>())
    }

    /// Parameters of the base model, trained in full or frozen.
    pub fn base_parameters(&self) -> usize {
        let layers: usize = self.layers.iter().map(|layer| layer.shape.iter().product::<usize>()).sum();
        layers + self.trained.iter().chain(&self.frozen).map(PlannedParameter::count).sum::<usize>()
    }

    /// Parameters of the base model that are not trained.
    pub fn frozen_parameters(&self) -> usize {
        self.base_parameters() - self.trained.iter().map(PlannedParameter::count).sum::<usize>()
    }

    pub(crate) fn of(snapshot: &Snapshot, config: &AdapterConfig) -> Result<Self, PeftError> {
        config.validate()?;
        let (buffers, sites): (Vec<&Site>, Vec<&Site>) = snapshot.sites.iter().partition(|site| site.is_buffer());
        let layouts = PatternMap::new("layouts", &config.layouts)?;
        let all_paths: Vec<&str> = sites.iter().map(|site| site.path.as_str()).collect();
        layouts.require_use(&all_paths, "parameter")?;
        let choice = Choice::new(config, &sites, &layouts)?;

        let adapts = config.method.adapts();
        let train = compile("train", &config.train)?;
        for pattern in &train {
            require_match("train", pattern, &all_paths, "parameter")?;
        }
        let ranks = Ranks::new(config)?;
        let mut plan = Self { layers: Vec::new(), trained: Vec::new(), frozen: Vec::new(), buffers: Vec::new() };
        plan.buffers = buffers.into_iter().map(PlannedParameter::of).collect();
        for site in &sites {
            let named = train.iter().find(|pattern| pattern.matches(&site.path));
            let chosen = choice.takes(site);
            match (adapts && chosen, named) {
                (true, Some(pattern)) => {
                    return Err(PeftError::parameter(
                        &site.path,
                        &site.shape,
                        format!(
                            "it would be adapted and, by `train` pattern `{}`, trained in full; exclude it from one",
                            pattern.text
                        ),
                    ));
                }
                (true, None) => plan.layers.push(ranks.layer(site, layouts.get(&site.path)?.copied())?),
                (false, Some(_)) => plan.trained.push(PlannedParameter::of(site)),
                (false, None) if !adapts && chosen => plan.trained.push(PlannedParameter::of(site)),
                (false, None) => plan.frozen.push(PlannedParameter::of(site)),
            }
        }
        let adapted: Vec<&str> = plan.layers.iter().map(|layer| layer.path.as_str()).collect();
        ranks.require_use(&adapted)?;
        if (adapts && plan.layers.is_empty()) || (!adapts && plan.trained.is_empty()) {
            return Err(PeftError::NoMatch {
                field: "include".into(),
                pattern: config.include.join("`, `"),
                wanted: if adapts {
                    "weight that can be adapted and is not excluded"
                } else {
                    "parameter that is not excluded"
                },
                found: sample(&choice.candidates(&sites)),
            });
        }
        Ok(plan)
    }
}

/// Which parameters the method itself concerns.
struct Choice<'a> {
    method: Method,
    include: Vec<crate::pattern::Pattern>,
    exclude: Vec<crate::pattern::Pattern>,
    layouts: &'a PatternMap<'a, Layout>,
}

impl<'a> Choice<'a> {
    fn new(config: &AdapterConfig, sites: &[&Site], layouts: &'a PatternMap<'a, Layout>) -> Result<Self, PeftError> {
        let include = compile("include", &config.include)?;
        let exclude = compile("exclude", &config.exclude)?;
        let choice = Self { method: config.method, include, exclude, layouts };
        let candidates = choice.candidates(sites);
        let wanted = match config.method {
            Method::Salt | Method::Svd | Method::Lora | Method::Dora => "weight that can be adapted",
            Method::Biases => "bias",
            Method::Norms => "parameter of a normalisation layer",
            Method::Named | Method::Full => "parameter",
        };
        for pattern in &choice.include {
            require_match("include", pattern, &candidates, wanted)?;
        }
        for pattern in &choice.exclude {
            require_match("exclude", pattern, &candidates, wanted)?;
        }
        Ok(choice)
    }

    fn is_candidate(&self, site: &Site) -> bool {
        match self.method {
            Method::Salt | Method::Svd | Method::Lora | Method::Dora => {
                site.layout().is_some() || matches!(self.layouts.get(&site.path), Ok(Some(_)) | Err(_))
            }
            Method::Biases => site.is_bias(),
            Method::Norms => site.is_norm(),
            Method::Named | Method::Full => true,
        }
    }

    fn candidates<'s>(&self, sites: &[&'s Site]) -> Vec<&'s str> {
        sites.iter().filter(|site| self.is_candidate(site)).map(|site| site.path.as_str()).collect()
    }

    fn takes(&self, site: &Site) -> bool {
        self.is_candidate(site)
            && (self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(&site.path)))
            && !self.exclude.iter().any(|pattern| pattern.matches(&site.path))
    }
}

/// The ranks, scales and slices of the configuration, by pattern.
struct Ranks<'a> {
    config: &'a AdapterConfig,
    svd: PatternMap<'a, Rank>,
    lora: PatternMap<'a, usize>,
    alpha: PatternMap<'a, f64>,
    slices: PatternMap<'a, crate::config::Slices>,
}

impl<'a> Ranks<'a> {
    fn new(config: &'a AdapterConfig) -> Result<Self, PeftError> {
        Ok(Self {
            config,
            svd: PatternMap::new("svd-rank-pattern", &config.svd_rank_pattern)?,
            lora: PatternMap::new("lora-rank-pattern", &config.lora_rank_pattern)?,
            alpha: PatternMap::new("alpha-pattern", &config.alpha_pattern)?,
            slices: PatternMap::new("slices", &config.slices)?,
        })
    }

    fn require_use(&self, adapted: &[&str]) -> Result<(), PeftError> {
        let wanted = "adapted weight";
        self.svd.require_use(adapted, wanted)?;
        self.lora.require_use(adapted, wanted)?;
        self.alpha.require_use(adapted, wanted)?;
        self.slices.require_use(adapted, wanted)
    }

    fn layer(&self, site: &Site, layout: Option<Layout>) -> Result<PlannedLayer, PeftError> {
        let fail = |reason: String| PeftError::parameter(&site.path, &site.shape, reason);
        let layout = layout
            .or_else(|| site.layout())
            .ok_or_else(|| fail("it cannot be read as a matrix; name its layout in `layouts`".into()))?;
        if site.shape.len() < 2 || site.shape.contains(&0) {
            return Err(fail("expected at least two axes, none of them empty".into()));
        }
        let [outputs, inputs] = outputs_inputs(layout, &site.shape);
        let ranges: Vec<(usize, usize)> = match self.slices.get(&site.path)? {
            None => vec![(0, outputs)],
            Some(slices) if outputs % slices.parts == 0 => {
                let size = outputs / slices.parts;
                let mut adapt = slices.adapt.clone();
                adapt.sort_unstable();
                adapt.into_iter().map(|part| (part * size, size)).collect()
            }
            Some(slices) => {
                return Err(fail(format!("its {outputs} outputs do not split into {} equal parts", slices.parts)));
            }
        };
        let recipe = self.recipe(&site.path)?;
        let parts = ranges
            .into_iter()
            .map(|(start, outputs)| {
                let k = outputs.min(inputs);
                let svd_rank = if recipe.needs_basis() { recipe.svd_rank.without_values(k) } else { Some(0) };
                match svd_rank {
                    Some(rank) if rank > k => Err(fail(format!("svd-rank {rank} exceeds its {k} singular values"))),
                    rank => {
                        Ok(PlannedPart { start, outputs, inputs, kind: rank.map(|rank| recipe.kind(rank)), recipe })
                    }
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(PlannedLayer {
            path: site.path.clone(),
            container: site.container.clone(),
            shape: site.shape.clone(),
            layout,
            parts,
        })
    }

    fn recipe(&self, path: &str) -> Result<Recipe, PeftError> {
        let config = self.config;
        let lora_rank = *self.lora.get(path)?.unwrap_or(&config.lora_rank);
        let alpha = self.alpha.get(path)?.copied().or(config.alpha);
        if matches!(config.method, Method::Lora | Method::Dora) && lora_rank == 0 {
            return Err(PeftError::config("lora-rank-pattern", format!("expected at least 1 for `{path}`, found 0")));
        }
        if config.method == Method::Salt && config.form == SaltForm::Projector && lora_rank == 0 {
            let reason =
                format!("form `projector` needs an update of rank 1 or more, found 0 for `{path}`; use `linear`");
            return Err(PeftError::config("lora-rank", reason));
        }
        let divisor = if config.rank_stabilized { (lora_rank as f64).sqrt() } else { lora_rank as f64 };
        Ok(Recipe {
            method: config.method,
            form: config.form,
            svd_rank: *self.svd.get(path)?.unwrap_or(&config.svd_rank),
            lora_rank,
            scale: alpha.map_or(1.0, |alpha| alpha / divisor),
        })
    }
}

/// Says what [`attach`](crate::attach) would do, from the shapes of the module alone: no parameter is initialised.
///
/// # Errors
/// A value of the configuration makes no sense, a pattern matches nothing, or a weight cannot take the adapter.
pub fn plan<M: Module>(module: &M, config: &AdapterConfig) -> Result<Plan, PeftError> {
    Plan::of(&Snapshot::take(module)?, config)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "adapted ({}):", self.layers.len())?;
        for layer in &self.layers {
            for part in &layer.parts {
                let trainable = part.trainable().map_or("by rule".to_owned(), |count| count.to_string());
                let range = match part.outputs == outputs_inputs(layer.layout, &layer.shape)[0] {
                    true => String::new(),
                    false => format!(" outputs {}..{}", part.start, part.start + part.outputs),
                };
                writeln!(f, "  {} {} {:?}{range}: {trainable}", layer.path, layer.container, layer.shape)?;
            }
        }
        for (title, list) in [("trained in full", &self.trained), ("frozen", &self.frozen)] {
            writeln!(f, "{title} ({}):", list.len())?;
            for parameter in list {
                writeln!(f, "  {} {:?}: {}", parameter.path, parameter.shape, parameter.count())?;
            }
        }
        Ok(())
    }
}
