//! What refuses the late write of a holder that was paused and replaced: the recipes of the guide, on real servers.

mod http;
mod recipe;
mod sql;
mod sql_paused;
