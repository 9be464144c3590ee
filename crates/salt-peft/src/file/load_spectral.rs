//! Reading the factors of SALT and SVD tuning, and their basis.

use super::host::HostBasis;
use super::manifest::{BasisStorage, LayerEntry};
use super::names::key;
use super::options::LoadOptions;
use super::reader::Reader;
use crate::attach::part_matrix;
use crate::config::{Decomposition, Layout, Rank, SaltForm};
use crate::decompose::{Decomposed, Job, decompose};
use crate::error::{Difference, PeftError};
use crate::initial::Factory;
use crate::layer::{
    Adapter, HostSvd, Kind, LayerSpec, PartSpec, Projector, Salt, SvdTuning, Tail, Top, outputs_inputs, transpose,
};
use crate::model::Site;

impl Reader<'_> {
    pub(super) fn spectral(
        &mut self,
        site: &Site,
        module: &str,
        spec: &LayerSpec,
        layer: &LayerEntry,
        storage: BasisStorage,
        options: &LoadOptions,
    ) -> Result<Option<Vec<Adapter>>, PeftError> {
        let [_, inputs] = outputs_inputs(spec.layout, &site.shape);
        let device = site.base.device();
        let mut adapters = Vec::with_capacity(spec.parts.len());
        let mut hashes = layer.basis_hashes.iter();
        for (index, part) in spec.parts.iter().enumerate() {
            let suffix = if spec.parts.len() > 1 { format!(".{index}") } else { String::new() };
            let need = Need::of(part, inputs);
            let svd = match (need.triplets, storage) {
                (0, _) => None,
                (k, BasisStorage::Basis) => self.stored_basis(module, need.prefix, &suffix, [part.len, inputs], k),
                (k, _) => Some(self.recomputed(site, spec.layout, part, k, options)?),
            };
            if let Some(svd) = &svd {
                self.check_basis(site, svd, hashes.next(), storage)?;
            }
            let decomposed = svd.map(|svd| Decomposed { rank: need.top, algorithm: String::new(), sketch: None, svd });
            let factory = self.factory(site, &device, index);
            match self.factors(&factory, module, &suffix, part, &need, inputs, spec.layout, decomposed.as_ref()) {
                Some(adapter) => adapters.push(adapter),
                None => return Ok(None),
            }
        }
        Ok(Some(adapters))
    }

    fn stored_basis(
        &mut self,
        module: &str,
        prefix: &str,
        suffix: &str,
        [outputs, inputs]: [usize; 2],
        k: usize,
    ) -> Option<HostSvd> {
        let u = self.take(key(module, &format!("{prefix}_U{suffix}")), &[outputs, k]);
        let sigma = self.take(key(module, &format!("{prefix}_S{suffix}")), &[k]);
        let v_t = self.take(key(module, &format!("{prefix}_Vt{suffix}")), &[k, inputs]);
        let (u, sigma, v_t) = (u?, sigma?, v_t?);
        Some(HostSvd {
            outputs,
            inputs,
            u_t: transpose(&u.values, outputs, k),
            sigma: sigma.values,
            v: transpose(&v_t.values, k, inputs),
        })
    }

    fn recomputed(
        &self,
        site: &Site,
        layout: Layout,
        part: &PartSpec,
        k: usize,
        options: &LoadOptions,
    ) -> Result<HostSvd, PeftError> {
        let matrix = part_matrix(&site.data()?, &site.shape, layout, part.start, part.len)
            .map_err(|reason| PeftError::Values { path: site.path.clone(), reason })?;
        // As it was computed: a sketch gives other bits than the leading part of a full decomposition.
        let sketch = part.basis.as_ref().and_then(|basis| basis.sketch);
        let decomposition = sketch.map_or(Decomposition::Exact, Decomposition::Randomized);
        let full = sketch.is_none() && !matches!(part.kind, Kind::Salt { form: SaltForm::Projector, .. });
        let job = Job { path: site.path.clone(), matrix, full, rank: Rank::Fixed(k), decomposition };
        let mut done = decompose(vec![job], options.basis_cache.as_deref())?;
        let svd = done.pop().ok_or_else(|| PeftError::foreign(&site.path, "the decomposition gave no result"))?.svd;
        Ok(svd.leading(k))
    }

    fn check_basis(
        &self,
        site: &Site,
        svd: &HostSvd,
        expected: Option<&String>,
        storage: BasisStorage,
    ) -> Result<(), PeftError> {
        let found = HostBasis {
            outputs: svd.outputs,
            inputs: svd.inputs,
            u_t: svd.u_t.clone(),
            sigma: svd.sigma.clone(),
            v_t: transpose(&svd.v, svd.inputs, svd.sigma.len()),
        }
        .hash();
        if expected == Some(&found) {
            return Ok(());
        }
        Err(PeftError::WrongBase {
            file: self.file.to_owned(),
            path: site.path.clone(),
            difference: match storage {
                BasisStorage::Recompute => Difference::RecomputedBasis,
                _ => Difference::Basis,
            },
            expected: expected.map_or("none", String::as_str).to_owned(),
            found,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one adapter's whole address")]
    fn factors(
        &mut self,
        factory: &Factory<'_>,
        module: &str,
        suffix: &str,
        part: &PartSpec,
        need: &Need,
        inputs: usize,
        layout: Layout,
        svd: Option<&Decomposed>,
    ) -> Option<Adapter> {
        let mut get =
            |name: &str, shape: &[usize]| self.take(key(module, &format!("{}_{name}{suffix}", need.prefix)), shape);
        let top_values = (need.top > 0).then(|| (get("alpha", &[need.top]), get("beta", &[need.top])));
        let names = if need.projector { ("A", "B") } else { ("X", "Y") };
        let (first, second) = match (need.projector, need.lora_rank) {
            (true, d) => ([d, inputs], [part.len, d]),
            (false, d) => ([need.triplets - need.top, d], [d, need.triplets - need.top]),
        };
        let update = need.has_update.then(|| (get(names.0, &first), get(names.1, &second)));
        let top = match top_values {
            None => None,
            Some((alpha, beta)) => Some(Top {
                alpha: factory.vector("top.alpha", alpha?.values),
                beta: factory.vector("top.beta", beta?.values),
                basis: factory.basis("top", svd?, 0..need.top, layout),
            }),
        };
        Some(match part.kind {
            Kind::Svd { relu } => Adapter::Svd(SvdTuning { top: top?, relu }),
            Kind::Salt { form: SaltForm::Projector, .. } => {
                let (a, b) = update?;
                Adapter::Projector(Projector {
                    top,
                    a: factory.matrix("a", a?.values, first),
                    b: factory.matrix("b", b?.values, second),
                })
            }
            Kind::Salt { form, .. } => {
                let tail = match update {
                    None => None,
                    Some((x, y)) => Some(Tail {
                        x: factory.matrix("tail.x", x?.values, first),
                        y: factory.matrix("tail.y", y?.values, second),
                        basis: factory.basis("tail", svd?, need.top..need.triplets, layout),
                    }),
                };
                Adapter::Salt(Salt { top, tail, form })
            }
            _ => return None,
        })
    }
}

/// What the factors of a SALT or SVD part look like.
struct Need {
    prefix: &'static str,
    top: usize,
    triplets: usize,
    lora_rank: usize,
    projector: bool,
    has_update: bool,
}

impl Need {
    fn of(part: &PartSpec, inputs: usize) -> Self {
        let k = part.len.min(inputs);
        match part.kind {
            Kind::Salt { svd_rank, lora_rank, form: SaltForm::Projector } => {
                Self { prefix: "salt", top: svd_rank, triplets: svd_rank, lora_rank, projector: true, has_update: true }
            }
            Kind::Salt { svd_rank, lora_rank, .. } => {
                let has_update = lora_rank > 0 && svd_rank < k;
                let triplets = if has_update { k } else { svd_rank };
                Self { prefix: "salt", top: svd_rank, triplets, lora_rank, projector: false, has_update }
            }
            _ => Self { prefix: "svd", top: k, triplets: k, lora_rank: 0, projector: false, has_update: false },
        }
    }
}
