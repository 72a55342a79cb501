# Names for what .ci/run does; the commands are there. `.ci/run <step>...` runs any others.

check:
	.ci/run

test race cross examples bench fuzz torture chaos:
	.ci/run $@

api:
	.ci/api -write

.PHONY: check test race cross examples bench fuzz torture chaos api
