"""`ptcalc check`: whether workloads keep to what a team has agreed on."""
