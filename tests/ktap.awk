# SPDX-License-Identifier: GPL-2.0-only
#
# Reads what one test program printed and prints its verdicts, one a line:
#   pass NAME / fail NAME: REASON / skip NAME: REASON
#
# Variables: name of the program, its exit code, why it did not end properly (empty
# if it did), format (ktap, or exit: only the exit code counts).
#
# KTAP nests: results indented deeper belong to the next result further out. Only
# innermost results are counted; one that sums up others counts only if it says
# "not ok" and none of them did. At each depth the plan (1..N) must be kept.

function add(depth, kind, what, reason,    k) {
	total[kind]++
	for (k = 0; k < depth; k++) {
		inner[k]++
		if (kind == "fail")
			inner_failed[k]++
	}
	print kind " " what (reason == "" ? "" : ": " reason)
}

# Ends the list of results at this depth: its plan must have been kept.
function close_depth(depth) {
	if ((depth in plan) && seen[depth] != plan[depth])
		add(depth, "fail", name,
		    "planned " plan[depth] " results, got " (seen[depth] + 0))
	delete plan[depth]
	delete seen[depth]
	inner[depth] = inner_failed[depth] = 0
}

function result(depth, ok, text,    what, directive, k) {
	for (k = deepest; k > depth; k--)
		close_depth(k)
	if (depth > deepest)
		deepest = depth
	seen[depth]++

	directive = ""
	if (match(text, /# *(SKIP|TODO|XFAIL)/)) {
		directive = substr(text, RSTART + 1)
		text = substr(text, 1, RSTART - 1)
		sub(/^ */, "", directive)
	}
	sub(/^ *[0-9]* *(- )?/, "", text)
	sub(/ +$/, "", text)
	what = name (text == "" ? "" : ": " text)

	if (inner[depth]) {
		if (!ok && !inner_failed[depth])
			add(depth, "fail", what, note)
	} else if (directive ~ /^SKIP/) {
		sub(/^SKIP[: ]*/, "", directive)
		add(depth, "skip", what, directive == "" ? "no reason given" : directive)
	} else if (ok) {
		add(depth, "pass", what, "")
	} else if (directive != "") {
		add(depth, "skip", what, "expected failure: " directive)
	} else {
		add(depth, "fail", what, note)
	}
	inner[depth] = inner_failed[depth] = 0
	note = ""
}

BEGIN { deepest = 0 }

format == "exit" { next }

{
	sub(/\r$/, "")
	match($0, /^ */)
	depth = int(RLENGTH / 2)
	body = substr($0, RLENGTH + 1)
}
body ~ /^1\.\.[0-9]+/ {
	split(substr(body, 4), words, " ")
	plan[depth] = words[1] + 0
	if (depth > deepest)
		deepest = depth
	if (plan[depth] == 0 && match(body, /# *SKIP */))
		add(depth, "skip", name, substr(body, RSTART + RLENGTH))
	next
}
body ~ /^ok( |$)/ { result(depth, 1, substr(body, 3)); next }
body ~ /^not ok( |$)/ { result(depth, 0, substr(body, 7)); next }
body ~ /^Bail out!/ { add(depth, "fail", name, body); next }
body ~ /^# / { note = substr(body, 3) }

END {
	if (format == "exit") {
		if (why != "")
			add(0, "fail", name, why)
		else if (code == 4)
			add(0, "skip", name, "not possible here")
		else if (code != 0)
			add(0, "fail", name, "exit code " code)
		else
			add(0, "pass", name, "")
		exit
	}
	for (k = deepest; k >= 0; k--)
		close_depth(k)
	if (why != "")
		add(0, "fail", name, why)
	else if (code != 0 && !total["fail"] && !(code == 4 && total["skip"]))
		add(0, "fail", name, "exit code " code)
	else if (!total["pass"] && !total["fail"] && !total["skip"])
		add(0, "fail", name, "printed no results")
}
