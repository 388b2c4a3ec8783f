//! Datasets and the experiments over them.

use serde_json::Value;
use uuid::Uuid;

use super::fields::{self, Answer, Result, refused};
use super::kept::{Kept, OpikDataset, OpikExperiment, OpikItem, OpikPair, put};
use crate::http::Request;

/// Where an item may come from.
const SOURCES: [&str; 4] = ["manual", "span", "trace", "sdk"];

/// Makes a dataset, of which no other has the name.
pub(super) fn dataset(request: &Request, kept: &mut Kept) -> Result<Answer> {
    let body = fields::body(request)?;
    let name = fields::text(&body, "name")?.to_owned();
    let description = fields::optional_text(&body, "description")?.map(str::to_owned);
    if kept.datasets.contains_key(&name) {
        return Err(refused(409, "Dataset already exists"));
    }
    let id = Uuid::now_v7();
    let dataset = OpikDataset { id, name: name.clone(), description, items: Default::default() };
    put(&mut kept.datasets, name, dataset);
    Ok(Answer::created(&format!("/api/v1/private/datasets/{id}")))
}

/// Puts items into a dataset; one whose id is there takes the place of the other.
pub(super) fn items(request: &Request, kept: &mut Kept) -> Result<Answer> {
    let body = fields::body(request)?;
    let items = fields::list(&body, "items")?.iter().map(item).collect::<Result<Vec<_>>>()?;
    let name = fields::text(&body, "dataset_name")?;
    let dataset = kept.datasets.get_mut(name).ok_or_else(|| refused(404, "Dataset not found"))?;
    for item in items {
        put(&mut dataset.items, item.id, item);
    }
    Ok(Answer::empty(204))
}

fn item(object: &Value) -> Result<OpikItem> {
    let source = fields::text(object, "source")?.to_owned();
    if !SOURCES.contains(&source.as_str()) {
        return Err(refused(400, format!("source must be one of {}", SOURCES.join(", "))));
    }
    let data = fields::value(object, "data");
    if data.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(refused(400, "data must be an object that is not empty"));
    }
    Ok(OpikItem { id: fields::id(object, "id")?, source, data })
}

/// Begins an experiment over a dataset, which is made if there is none of that name.
pub(super) fn experiment(request: &Request, kept: &mut Kept) -> Result<Answer> {
    let body = fields::body(request)?;
    let (id, dataset) = (fields::id(&body, "id")?, fields::text(&body, "dataset_name")?.to_owned());
    let name = fields::text(&body, "name")?.to_owned();
    if kept.experiments.contains_key(&id) {
        return Err(refused(409, "Experiment already exists"));
    }
    let new = || {
        let (id, items) = (Uuid::now_v7(), Default::default());
        OpikDataset { id, name: dataset.clone(), description: None, items }
    };
    kept.datasets.entry(dataset.clone()).or_insert_with(new);
    let metadata = fields::value(&body, "metadata");
    put(&mut kept.experiments, id, OpikExperiment { id, name, dataset, metadata, items: Default::default() });
    Ok(Answer::created(&format!("/api/v1/private/experiments/{id}")))
}

/// Says which trace answered which item, all of them or none.
pub(super) fn pairs(request: &Request, kept: &mut Kept) -> Result<Answer> {
    let body = fields::body(request)?;
    let all = fields::list(&body, "experiment_items")?.iter();
    let pairs = all.map(|object| pair(object, kept)).collect::<Result<Vec<_>>>()?;
    for (experiment, id, pair) in pairs {
        if let Some(experiment) = kept.experiments.get_mut(&experiment) {
            put(&mut experiment.items, id, pair);
        }
    }
    Ok(Answer::empty(204))
}

fn pair(object: &Value, kept: &Kept) -> Result<(Uuid, Uuid, OpikPair)> {
    let id = fields::id(object, "id")?;
    let item = fields::id(object, "dataset_item_id")?;
    let trace = fields::id(object, "trace_id")?;
    let experiment = fields::id(object, "experiment_id")?;
    let unknown = |what: &str| refused(409, format!("Upserting experiment item with unknown {what}"));
    let known = kept.experiments.get(&experiment).ok_or_else(|| unknown("experiment"))?;
    let dataset = kept.datasets.get(&known.dataset).ok_or_else(|| unknown("dataset"))?;
    if !dataset.items.contains_key(&item) {
        return Err(unknown("dataset item"));
    }
    if !kept.traces.contains_key(&trace) {
        return Err(unknown("trace"));
    }
    Ok((experiment, id, OpikPair { item, trace }))
}
