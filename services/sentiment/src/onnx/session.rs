//! One ONNX graph made ready to run: a batch of one text, any number of tokens.

use std::sync::Arc;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid as _;
use tract_onnx::tract_hir::internal::bail;

/// A graph with its inputs and its output found by name.
pub(super) struct Session {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<(Input, DatumType)>,
    /// Place of the logits among the outputs.
    output: usize,
}

#[derive(Clone, Copy)]
enum Input {
    Ids,
    Mask,
    Types,
}

impl Input {
    fn of(name: &str) -> Option<Self> {
        match name {
            "input_ids" => Some(Self::Ids),
            "attention_mask" => Some(Self::Mask),
            "token_type_ids" => Some(Self::Types),
            _ => None,
        }
    }
}

impl Session {
    /// Reads and optimises the graph. Weights outside of the file are not looked for.
    pub(super) fn load(bytes: &[u8]) -> Result<Self, String> {
        Self::build(bytes).map_err(|fault| format!("is no ONNX model that can be run: {fault:#}"))
    }

    fn build(bytes: &[u8]) -> TractResult<Self> {
        // Shapes that the file states for its inner values name a free batch; here it is always 1, so they are inferred.
        let reader = onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
        let mut model = reader.model_for_read(&mut &*bytes)?;
        let tokens = model.symbols.sym("tokens").to_dim();
        let mut inputs = Vec::new();
        for (place, outlet) in model.input_outlets()?.to_vec().into_iter().enumerate() {
            let name = model.node(outlet.node).name.clone();
            let Some(input) = Input::of(&name) else {
                bail!("its input `{name}` is none of input_ids, attention_mask, token_type_ids");
            };
            let datum = model.input_fact(place)?.datum_type.concretize().unwrap_or(DatumType::I64);
            model.set_input_fact(place, InferenceFact::dt_shape(datum, [1.to_dim(), tokens.clone()]))?;
            inputs.push((input, datum));
        }
        if !inputs.iter().any(|(input, _)| matches!(input, Input::Ids)) {
            bail!("it has no input `input_ids`");
        }
        let outlets = model.output_outlets()?.to_vec();
        let is_logits = |outlet: &OutletId| {
            model.outlet_label(*outlet) == Some("logits") || model.node(outlet.node).name == "logits"
        };
        let output = outlets.iter().position(is_logits).unwrap_or(0);
        let plan = model.into_optimized()?.into_runnable()?;
        Ok(Self { plan, inputs, output })
    }

    /// The numbers of the logits for one text.
    pub(super) fn run(&self, ids: &[u32], mask: &[u32], types: &[u32]) -> Result<Vec<f32>, String> {
        self.infer(ids, mask, types).map_err(|fault| format!("{fault:#}"))
    }

    fn infer(&self, ids: &[u32], mask: &[u32], types: &[u32]) -> TractResult<Vec<f32>> {
        let mut values = tvec!();
        for (input, datum) in &self.inputs {
            let numbers = match input {
                Input::Ids => ids,
                Input::Mask => mask,
                Input::Types => types,
            };
            let wide: Vec<i64> = numbers.iter().map(|number| i64::from(*number)).collect();
            let tensor = Tensor::from_shape(&[1, wide.len()], &wide)?;
            values.push(tensor.cast_to_dt(*datum)?.into_owned().into_tvalue());
        }
        let outputs = self.plan.run(values)?;
        let Some(logits) = outputs.get(self.output) else { bail!("it answered {} outputs", outputs.len()) };
        let logits = logits.cast_to::<f32>()?;
        Ok(logits.to_plain_array_view::<f32>()?.iter().copied().collect())
    }
}
