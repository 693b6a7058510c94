"""One page about a model on somebody's data: findings, pictures, and what they mean."""
