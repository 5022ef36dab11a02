//! The settings in a few lines for people.

use super::adapter::AdapterConfig;
use super::run::RunConfig;
use crate::args::types::Resume;

impl RunConfig {
    /// What will run, in a few lines.
    pub fn summary(&self) -> String {
        let mut lines = vec![format!("base     {}", self.base.describe())];
        lines.push(format!(
            "adapter  {}",
            self.adapter.as_ref().map_or("none, the bare base".into(), AdapterConfig::describe)
        ));
        if self.do_train {
            lines.push(format!("train    {}", self.describe_training()));
        }
        if let (true, Some(file)) = (self.do_eval, &self.files.validation) {
            lines.push(format!("evaluate {}", file.display()));
        }
        if let (true, Some(file)) = (self.do_predict, &self.files.test) {
            lines.push(format!("predict  {}, {}", file.display(), self.describe_generation()));
        }
        lines.push(format!("output   {}", self.output_dir.display()));
        lines.join("\n")
    }

    fn describe_training(&self) -> String {
        let train = &self.train;
        let length = match train.max_steps {
            Some(steps) => format!("{steps} steps"),
            None => format!("{} epochs", train.num_train_epochs),
        };
        let file = self.files.train.as_deref().map(|file| file.display().to_string()).unwrap_or_default();
        let resume = match &self.resume {
            None => String::new(),
            Some(Resume::Auto) => ", resumed from the newest checkpoint".into(),
            Some(Resume::Path(path)) => format!(", resumed from {}", path.display()),
        };
        format!(
            "{file}: {length} of {} × {} rows, learning rate {:e}, {}, lengths {} + {}{resume}",
            train.per_device_train_batch_size,
            train.gradient_accumulation_steps,
            train.learning_rate,
            format!("{:?}", train.lr_scheduler_type).to_lowercase(),
            self.data.max_source_length,
            self.data.max_target_length,
        )
    }

    fn describe_generation(&self) -> String {
        let generation = &self.generation;
        let beams = match generation.num_beams {
            1 => String::new(),
            beams => format!(", {beams} beams"),
        };
        if generation.do_sample {
            let (temperature, top_p) = (generation.temperature, generation.top_p);
            format!("sampled at temperature {temperature}, top_p {top_p}, seed {}{beams}", generation.seed)
        } else if beams.is_empty() {
            "greedy".into()
        } else {
            format!("the most likely answers{beams}")
        }
    }
}

impl AdapterConfig {
    /// A few words for people.
    pub fn describe(&self) -> String {
        let origin = match self.init_from() {
            Some(path) => format!("from {}", path.display()),
            None => "fresh".into(),
        };
        match self {
            // The files decide the sizes, and the flags may still prove to contradict them.
            Self::Ptuning { init_from: Some(_), .. } => format!("prefix, {origin}"),
            Self::Lora { init_from: Some(_), .. } => format!("LoRA, {origin}"),
            Self::Ptuning { pre_seq_len, prefix_projection, .. } => {
                let length = pre_seq_len.map(|length| format!(" of {length} positions")).unwrap_or_default();
                let projection = if *prefix_projection == Some(true) { " with projection" } else { "" };
                format!("prefix{length}{projection}, {origin}")
            }
            Self::Lora { rank, alpha, target, .. } => {
                let rank = rank.map(|rank| format!(" of rank {rank}")).unwrap_or_default();
                let alpha = alpha.map(|alpha| format!(", alpha {alpha}")).unwrap_or_default();
                let target = target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
                format!("LoRA{rank}{alpha}{target}, {origin}")
            }
            Self::FromFile { .. } => format!("what the files hold, {origin}"),
            Self::Full => "none: all weights train".into(),
            Self::Freeze { num_layer_trainable } => format!("none: the last {num_layer_trainable} layers train"),
        }
    }
}
