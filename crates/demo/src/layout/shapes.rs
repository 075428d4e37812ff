//! How the pipelines of the project read a collection.

use dualrun_core::shape::Shape;
use dualrun_mapping::plan::Project;

use crate::error::DemoError;

/// The shape of a collection: what all pipelines that read it declare, together.
///
/// # Errors
/// No pipeline reads it, or two of them declare one field in different ways.
pub(super) fn of_collection(project: &Project, collection: &str) -> Result<Shape, DemoError> {
    let readers = project.pipelines.iter().flat_map(|pipeline| &pipeline.inputs).filter(|input| {
        input.legacy.as_ref().is_some_and(|place| place.collection.as_deref() == Some(collection))
    });
    let mut whole: Option<Shape> = None;
    for input in readers {
        let shape = whole.get_or_insert_default();
        for (field, rules) in &input.shape.0 {
            let known = shape.0.entry(field.clone()).or_insert_with(|| rules.clone());
            if known.rules() != rules.rules() {
                return Err(DemoError::Shape { collection: collection.to_owned(), field: field.clone() });
            }
        }
    }
    whole.ok_or_else(|| DemoError::NoReader(collection.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collections, project::load_project};

    #[test]
    fn every_collection_of_the_demo_has_a_shape() {
        let project = load_project().unwrap();
        for collection in collections::all() {
            let shape = of_collection(&project, collection.name()).unwrap();
            assert!(shape.0.contains_key(collection.customer_field()), "{}", collection.name());
        }
    }

    #[test]
    fn a_field_that_two_pipelines_read_differently_is_an_error() {
        let mut project = load_project().unwrap();
        assert!(matches!(of_collection(&project, "nobody"), Err(DemoError::NoReader(_))));
        let device_use = project.pipelines.iter_mut().find(|p| p.id.as_str() == "device-use").unwrap();
        let field = dualrun_core::shape::FieldShape::Type(dualrun_core::shape::FieldType::Json);
        device_use.inputs[0].shape.0.insert("serial".to_owned(), field);
        let error = of_collection(&project, "assets").unwrap_err();
        assert_eq!(error.to_string(), "two pipelines read assets.serial in different ways");
    }
}
