//! Recipes, tree pages and pointers: parse and encode only.
