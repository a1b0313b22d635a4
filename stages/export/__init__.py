"""An experiment's masks in the formats that others read. Each format is a module with `write`."""
