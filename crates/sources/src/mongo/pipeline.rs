//! Aggregation pipelines as text: parameters become typed values, and only stages that read are let through.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document};

use crate::SourceError;

/// Stages that only read documents. `$out` and `$merge` write; stages such as `$currentOp` read something else.
const READING: [&str; 33] = [
    "$addFields",
    "$bucket",
    "$bucketAuto",
    "$count",
    "$densify",
    "$documents",
    "$facet",
    "$fill",
    "$geoNear",
    "$graphLookup",
    "$group",
    "$limit",
    "$lookup",
    "$match",
    "$project",
    "$rankFusion",
    "$redact",
    "$replaceRoot",
    "$replaceWith",
    "$sample",
    "$score",
    "$scoreFusion",
    "$search",
    "$searchMeta",
    "$set",
    "$setWindowFields",
    "$skip",
    "$sort",
    "$sortByCount",
    "$unionWith",
    "$unset",
    "$unwind",
    "$vectorSearch",
];

/// Stages that must come first, so that no filter can be put before them.
const FIRST: [&str; 6] = ["$geoNear", "$search", "$searchMeta", "$vectorSearch", "$documents", "$rankFusion"];

/// Reads a pipeline in Extended JSON and puts values in the place of every `{"$param": "name"}`.
///
/// A value is data: it is put in as one node of the tree, and within an expression it is a `$literal` where it could
/// be read as a path or an operator.
///
/// Errors name the place: text that is no pipeline, names that are not known or not used, stages that do more than
/// read documents.
pub fn bind(pipeline: &str, params: &BTreeMap<String, Bson>) -> Result<Vec<Document>, SourceError> {
    let json: serde_json::Value = serde_json::from_str(pipeline).map_err(|e| wrong(&format!("{e}")))?;
    let serde_json::Value::Array(stages) = json else {
        return Err(wrong("it is a list of stages in square brackets"));
    };
    let mut used = BTreeSet::new();
    let mut bound = Vec::with_capacity(stages.len());
    for (i, stage) in stages.into_iter().enumerate() {
        let place = format!("stage {}", i + 1);
        let stage = Bson::try_from(stage).map_err(|_| wrong(&format!("{place}: not valid Extended JSON")))?;
        let mut values = Values { params, used: &mut used };
        match values.put(stage, Within::Expression, &place)? {
            Bson::Document(stage) => bound.push(stage),
            _ => return Err(wrong(&format!("{place}: a stage is an object such as {{\"$match\": …}}"))),
        }
    }
    if let Some(unused) = params.keys().find(|name| !used.contains(*name)) {
        return Err(wrong(&format!("the parameter {unused:?} is given but not used")));
    }
    only_reads(&bound)?;
    Ok(bound)
}

/// Refuses stages that do more than read documents, also in pipelines within stages.
pub(super) fn only_reads(pipeline: &[Document]) -> Result<(), SourceError> {
    for (i, stage) in pipeline.iter().enumerate() {
        check_stage(stage, &format!("stage {}", i + 1))?;
    }
    Ok(())
}

/// Whether a filter can be put before the pipeline.
pub(crate) fn takes_filter(pipeline: &[Document]) -> bool {
    let first = pipeline.first().and_then(|stage| stage.keys().next());
    first.is_none_or(|name| !FIRST.contains(&name.as_str()))
}

fn check_stage(stage: &Document, place: &str) -> Result<(), SourceError> {
    let mut names = stage.iter();
    let (Some((name, body)), None) = (names.next(), names.next()) else {
        return Err(wrong(&format!("{place}: a stage has exactly one name such as $match")));
    };
    let place = format!("{place}: {}", name.chars().take(40).collect::<String>());
    match name.as_str() {
        "$out" | "$merge" => return Err(wrong(&format!("{place} writes; the legacy side is only read"))),
        name if !READING.contains(&name) => {
            return Err(wrong(&format!("{place} is not a stage that reads documents")));
        }
        _ => {}
    }
    let Bson::Document(body) = body else { return Ok(()) };
    let inner: Vec<(String, &Bson)> = match name.as_str() {
        "$facet" => body.iter().map(|(k, v)| (format!("{place}.{k}"), v)).collect(),
        "$lookup" | "$unionWith" => {
            body.get("pipeline").map(|v| (format!("{place}.pipeline"), v)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    for (place, pipeline) in inner {
        for (i, stage) in pipeline.as_array().into_iter().flatten().enumerate() {
            let place = format!("{place} {}", i + 1);
            match stage.as_document() {
                Some(stage) => check_stage(stage, &place)?,
                None => return Err(wrong(&format!("{place}: a stage is an object"))),
            }
        }
    }
    Ok(())
}

/// What a `$` at the head of a text means.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// The path of a field.
    Expression,
    /// Nothing: the language of filters compares with it.
    Filter,
}

struct Values<'a> {
    params: &'a BTreeMap<String, Bson>,
    used: &'a mut BTreeSet<String>,
}

impl Values<'_> {
    fn put(&mut self, value: Bson, within: Within, place: &str) -> Result<Bson, SourceError> {
        match value {
            Bson::Document(document) if document.contains_key("$param") => {
                self.parameter(&document, within, place)
            }
            Bson::Document(document) => {
                let mut bound = Document::new();
                for (name, value) in document {
                    let place = format!("{place}.{}", name.chars().take(40).collect::<String>());
                    let within = match name.as_str() {
                        "$match" | "restrictSearchWithMatch" => Within::Filter,
                        "query" if place.ends_with(".$geoNear.query") => Within::Filter,
                        "$expr" => Within::Expression,
                        _ => within,
                    };
                    bound.insert(name, self.put(value, within, &place)?);
                }
                Ok(Bson::Document(bound))
            }
            Bson::Array(values) => {
                let values = values.into_iter().enumerate();
                let bound = values.map(|(i, value)| self.put(value, within, &format!("{place}[{i}]")));
                Ok(Bson::Array(bound.collect::<Result<_, _>>()?))
            }
            value => Ok(value),
        }
    }

    fn parameter(&mut self, document: &Document, within: Within, place: &str) -> Result<Bson, SourceError> {
        let Some(Bson::String(name)) = document.get("$param").filter(|_| document.len() == 1) else {
            return Err(wrong(&format!("{place}: a parameter is {{\"$param\": \"name\"}} and nothing else")));
        };
        let Some(value) = self.params.get(name) else {
            let known: Vec<&str> = self.params.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(wrong(&format!("{place}: there is no parameter {name:?}; known are {known}")));
        };
        self.used.insert(name.clone());
        let readable = match value {
            Bson::String(text) => text.starts_with('$'),
            Bson::Document(_) | Bson::Array(_) => true,
            _ => false,
        };
        Ok(match within {
            Within::Expression if readable => bson::bson!({"$literal": value.clone()}),
            _ => value.clone(),
        })
    }
}

fn wrong(what: &str) -> SourceError {
    SourceError::Config(format!("aggregation pipeline: {what}"))
}

#[cfg(test)]
mod tests {
    use bson::{DateTime, doc};

    use super::*;

    fn params(pairs: &[(&str, Bson)]) -> BTreeMap<String, Bson> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn told(pipeline: &str, pairs: &[(&str, Bson)]) -> String {
        bind(pipeline, &params(pairs)).unwrap_err().to_string()
    }

    #[test]
    fn parameters_become_typed_values() {
        let day = DateTime::from_millis(1_700_000_000_000);
        let bound = bind(
            r#"[{"$match": {"day": {"$gte": {"$param": "day"}, "$in": [1, {"$param": "n"}]}}},
                {"$project": {"x": {"$numberDecimal": "1.10"}}}]"#,
            &params(&[("day", day.into()), ("n", 7.into())]),
        );
        let decimal: bson::Decimal128 = "1.10".parse().unwrap();
        assert_eq!(
            bound.unwrap(),
            [doc! {"$match": {"day": {"$gte": day, "$in": [1, 7]}}}, doc! {"$project": {"x": decimal}}]
        );
    }

    #[test]
    fn unknown_and_unused_names_are_told_with_their_place() {
        assert_eq!(
            told(r#"[{"$match": {"day": {"$gte": {"$param": "dya"}}}}]"#, &[("day", 1.into())]),
            "aggregation pipeline: stage 1.$match.day.$gte: there is no parameter \"dya\"; known are day"
        );
        assert_eq!(
            told(r#"[{"$limit": 1}]"#, &[("day", 1.into())]),
            "aggregation pipeline: the parameter \"day\" is given but not used"
        );
        assert!(told(r#"[{"$match": {"a": {"$param": "x", "b": 1}}}]"#, &[]).contains("nothing else"));
    }

    #[test]
    fn a_value_is_data_and_never_a_path_or_an_operator() {
        let bound = bind(r#"[{"$set": {"a": {"$param": "x"}}}]"#, &params(&[("x", "$secret".into())]));
        assert_eq!(bound.unwrap(), [doc! {"$set": {"a": {"$literal": "$secret"}}}]);
        let pipeline = r#"[{"$match": {"a": {"$param": "x"}, "$expr": {"$eq": ["$b", {"$param": "x"}]}}}]"#;
        let bound = bind(pipeline, &params(&[("x", "$secret".into())]));
        let compared = doc! {"$eq": ["$b", {"$literal": "$secret"}]};
        assert_eq!(bound.unwrap(), [doc! {"$match": {"a": "$secret", "$expr": compared}}]);
    }

    #[test]
    fn stages_that_write_are_refused_by_name() {
        assert_eq!(
            told(r#"[{"$match": {}}, {"$out": "x"}]"#, &[]),
            "aggregation pipeline: stage 2: $out writes; the legacy side is only read"
        );
        let nested = r#"[{"$facet": {"f": [{"$merge": {"into": "x"}}]}}]"#;
        assert!(
            told(nested, &[]).ends_with("stage 1: $facet.f 1: $merge writes; the legacy side is only read")
        );
        let union = r#"[{"$unionWith": {"coll": "c", "pipeline": [{"$currentOp": {}}]}}]"#;
        assert!(told(union, &[]).contains("$currentOp is not a stage that reads documents"));
        assert!(told(r#"[{"$match": {}, "$out": "x"}]"#, &[]).contains("exactly one name"));
    }

    #[test]
    fn text_that_is_no_pipeline_is_told_with_line_and_column() {
        assert_eq!(
            told("[{\"$match\":\n {]", &[]),
            "aggregation pipeline: key must be a string at line 2 column 3"
        );
        assert!(told("{}", &[]).contains("list of stages"));
        assert!(told("[1]", &[]).contains("stage 1: a stage is an object"));
    }

    #[test]
    fn a_filter_goes_before_a_pipeline_but_not_before_a_search() {
        assert!(takes_filter(&[doc! {"$group": {"_id": 1}}]) && takes_filter(&[]));
        assert!(!takes_filter(&[doc! {"$search": {}}]));
    }
}
