//! Bodies that are stricter in one place than in another.

use std::borrow::Cow;
use std::marker::PhantomData;

use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::answers::named;
use crate::wire::shapes::LeaseId;
use crate::wire::{HandOverRequest, ValueRequest};

/// A body that names its lease, since the path does not.
pub(in crate::api) struct OfLease<T>(PhantomData<T>);

/// Says a value under a lease that the body names.
pub(in crate::api) type ValueOfLease = OfLease<ValueRequest>;

/// Hands over a lease that the body names.
pub(in crate::api) type HandOverOfLease = OfLease<HandOverRequest>;

impl<T: ToSchema> PartialSchema for OfLease<T> {
    fn schema() -> RefOr<Schema> {
        let mut schema = T::schema();
        if let RefOr::T(Schema::Object(fields)) = &mut schema {
            fields.properties.insert("lease".to_owned(), named::<LeaseId>().into());
            fields.required.push("lease".to_owned());
        }
        schema
    }
}

impl<T: ToSchema> ToSchema for OfLease<T> {
    fn name() -> Cow<'static, str> {
        format!("{}OfLease", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(schemas);
    }
}
