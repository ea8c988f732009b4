mod errors;
mod limits;
mod splits;
mod support;
mod text;
