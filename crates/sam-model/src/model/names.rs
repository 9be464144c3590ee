//! The parts of a model under the names that its checkpoints give them.

use burn::module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor};
use burn::tensor::Device;

use super::Sam;
use crate::SamConfig;

/// What visitors are told that the parts stand in.
const CONTAINER: &str = "Struct:Sam";

/// The name of SAM 2's vector of "no memory".
pub(crate) const NO_MEMORY: &str = "no_mem_embed";

/// The names of image encoder, prompt encoder and mask decoder.
pub(crate) fn part_names(config: &SamConfig) -> [&'static str; 3] {
    if config.is_sam2() {
        ["image_encoder", "sam_prompt_encoder", "sam_mask_decoder"]
    } else {
        ["image_encoder", "prompt_encoder", "mask_decoder"]
    }
}

/// Written out because two parts have other names in SAM 2, which Burn's derivation has no word for.
impl Module for Sam {
    fn collect_devices(&self, devices: Devices) -> Devices {
        let devices = self.image_encoder.collect_devices(devices);
        let devices = self.prompt_encoder.collect_devices(devices);
        let devices = self.mask_decoder.collect_devices(devices);
        self.no_mem_embed.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        Self {
            image_encoder: self.image_encoder.fork(device),
            prompt_encoder: self.prompt_encoder.fork(device),
            mask_decoder: self.mask_decoder.fork(device),
            no_mem_embed: self.no_mem_embed.fork(device),
            config: self.config,
        }
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            image_encoder: self.image_encoder.to_device(device),
            prompt_encoder: self.prompt_encoder.to_device(device),
            mask_decoder: self.mask_decoder.to_device(device),
            no_mem_embed: self.no_mem_embed.to_device(device),
            config: self.config,
        }
    }

    fn train(self) -> Self {
        Self {
            image_encoder: self.image_encoder.train(),
            prompt_encoder: self.prompt_encoder.train(),
            mask_decoder: self.mask_decoder.train(),
            no_mem_embed: self.no_mem_embed.train(),
            config: self.config,
        }
    }

    fn valid(&self) -> Self {
        Self {
            image_encoder: self.image_encoder.valid(),
            prompt_encoder: self.prompt_encoder.valid(),
            mask_decoder: self.mask_decoder.valid(),
            no_mem_embed: self.no_mem_embed.valid(),
            config: self.config.clone(),
        }
    }

    fn materialize(self) -> Self {
        Self {
            image_encoder: self.image_encoder.materialize(),
            prompt_encoder: self.prompt_encoder.materialize(),
            mask_decoder: self.mask_decoder.materialize(),
            no_mem_embed: self.no_mem_embed.materialize(),
            config: self.config,
        }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        fn part<V: ModuleVisitor>(visitor: &mut V, name: &str, module: &impl Module) {
            visitor.enter_module(name, CONTAINER);
            module.visit(visitor);
            visitor.exit_module(name, CONTAINER);
        }
        let [encoder, prompts, decoder] = part_names(&self.config);
        part(visitor, encoder, &self.image_encoder);
        part(visitor, prompts, &self.prompt_encoder);
        part(visitor, decoder, &self.mask_decoder);
        part(visitor, NO_MEMORY, &self.no_mem_embed);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        fn part<M: ModuleMapper, P: Module>(mapper: &mut M, name: &str, module: P) -> P {
            mapper.enter_module(name, CONTAINER);
            let mapped = module.map(mapper);
            mapper.exit_module(name, CONTAINER);
            mapped
        }
        let [encoder, prompts, decoder] = part_names(&self.config);
        Self {
            image_encoder: part(mapper, encoder, self.image_encoder),
            prompt_encoder: part(mapper, prompts, self.prompt_encoder),
            mask_decoder: part(mapper, decoder, self.mask_decoder),
            no_mem_embed: part(mapper, NO_MEMORY, self.no_mem_embed),
            config: self.config,
        }
    }
}

impl ModuleDisplayDefault for Sam {
    fn content(&self, content: Content) -> Option<Content> {
        let [encoder, prompts, decoder] = part_names(&self.config);
        content
            .set_top_level_type("Sam")
            .add(encoder, &self.image_encoder)
            .add(prompts, &self.prompt_encoder)
            .add(decoder, &self.mask_decoder)
            .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Sam {}

impl std::fmt::Display for Sam {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ModuleDisplay::format(self, Default::default()))
    }
}
