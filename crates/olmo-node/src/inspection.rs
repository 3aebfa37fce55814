//! What is known of a model: of a loaded one, and of a checkpoint before it is loaded.
