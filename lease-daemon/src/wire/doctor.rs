//! What an examination of the deployment finds, and an operator's acceptance of lost writes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shapes::By;

/// The answer of `GET /v1/doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Examination {
    /// The gravest of the findings.
    pub severity: Severity,
    /// What was found, topic by topic; the good as well.
    pub findings: Vec<Finding>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What was looked at: a word for programs.
    pub code: String,
    /// What was found.
    pub found: String,
    /// What to do about it, if there is anything to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; or it cannot be known.
    Note,
    /// Something will go wrong sooner or later.
    Warning,
    /// Locks are not safe, or cannot be had. What a newer daemon calls otherwise counts as this.
    #[serde(other)]
    Critical,
}

impl Severity {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// The body of `POST /v1/doctor/accept-regression`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptRequest {
    /// Who accepts it: it is recorded in the bucket.
    #[serde(default)]
    #[schema(required = true, value_type = By)]
    pub by: String,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Who accepted it.
    pub accepted_by: String,
}
