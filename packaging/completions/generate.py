"""Writes completions for bash, zsh and fish from what a program says with --help, so that they know what it knows; and from
LISTS, so that they know what only the program at work knows: hosts, profiles, devices.

Usage: generate.py bash|zsh|fish PROGRAM   (run by the build; the tables of subcommands and options print that help)
"""
import os
import pathlib
import re
import subprocess
import sys

COMMAND = re.compile(r"^  ([a-z][a-z0-9-]*)((?: [a-z][a-z-]*)?)(?= |$)(.*)$")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][a-zA-Z-]*")
CHOICES = re.compile(r"\[([a-z]+(?:\|[a-z]+)+)\]")

# Behind that option or command stands a line of that list. "$PROFILE" is the -p of the line. The lines are somebody else's
# words: a shell may compare and offer them, and must expand none.
LISTS = {"sallyport": {
    "-W": "sallyport $PROFILE complete hosts", "why": "sallyport $PROFILE complete hosts",
    "-L": "sallyport $PROFILE complete hosts",  # behind "PORT:"
    "-p": "sallyport complete profiles", "--profile": "sallyport complete profiles",
    "forward drop": "sallyport $PROFILE complete forwards"}}
# The same for each verb that is about one that is there.
NAMED = {"sallyport-admin": {name: f"timeout 1 sallyport-admin {name} list --csv | sed 1d | cut -d, -f1" for name in ("device", "host")}}
NEW_NAMES = ("add", "invite", "adopt")


class Help:
    """What --help says: options, those of them that take a value, and {command: {verb: (options, sentence)}}; the verb is ""
    where the command is all there is."""

    def __init__(self, program, text):
        self.options, self.with_value, self.commands, self.choices = [], [], {}, {}
        self.lists = dict(LISTS.get(program, {}))
        named, last = NAMED.get(program, {}), None
        for line in text.split("Exit status")[0].splitlines():
            match = COMMAND.match(line)
            if match:
                name, verb, rest = match.group(1), match.group(2).strip(), match.group(3)
                # After two blanks comes the sentence; before it, arguments.
                arguments, _, sentence = rest.partition("  ")
                last = self.commands.setdefault(name, {})
                last[verb] = (OPTION.findall(arguments), sentence.strip())
                if CHOICES.search(arguments) and not verb:
                    self.choices[name] = CHOICES.search(arguments).group(1).split("|")
                if name in named and arguments.startswith(" NAME") and verb not in NEW_NAMES:
                    self.lists[f"{name} {verb}"] = named[name]
            elif last is not None and line.startswith("      ") and not line.strip().startswith("-"):
                key = list(last)[-1]
                last[key] = (last[key][0], line.strip())
            elif line.startswith("  -"):
                self.take_option(line.strip().partition("  ")[0])
                last = None
            else:
                last = None

    def take_option(self, left):
        spellings = OPTION.findall(left)
        self.options += [word for word in spellings if word not in self.options]
        if " " in left.replace(", ", ","):
            self.with_value += spellings


def function_name(program):
    return "_" + program.replace("-", "_")


def call(list_, profile):
    return list_.replace(" $PROFILE", profile) + " 2>/dev/null"


def bash(program, known):
    cases, mine = [], ' "${profile[@]}"'
    for name, verbs in known.commands.items():
        for verb, (own, _) in verbs.items():
            if verb:
                cases.append(f'\t"{name} {verb}") words="{" ".join(own + known.options)}" ;;')
        general = known.choices.get(name) or ([] if "" in verbs else list(verbs))
        if general:
            cases.append(f'\t"{name} ") words="{" ".join(general)}" ;;')
        cases.append(f'\t"{name} "*) words="{" ".join(verbs.get("", ([],))[0] + known.options)}" ;;')
    after = [f'\t{option}) words=$({call(list_, mine)}) ;;' for option, list_ in known.lists.items() if option[0] == "-"]
    listed = [f'\t"{place}{"" if " " in place else " "}") [[ $current == -* ]] || words=$({call(list_, mine)}) ;;'
              for place, list_ in known.lists.items() if place[0] != "-"]
    return f"""# bash completion of {program}; made from its --help.
{function_name(program)}() {{
	# By blanks alone: bash takes HOST:PORT apart.
	local line=${{COMP_LINE:0:COMP_POINT}} current="" before="" command="" verb="" words="" front="" word
	local -a typed profile=()
	read -ra typed <<< "$line"
	if [[ $line != *[[:space:]] ]]; then
		current=${{typed[-1]}}
		unset 'typed[-1]'
	fi
	for word in "${{typed[@]:1}}"; do
		if [[ -n $before ]]; then
			[[ $before == -p || $before == --profile ]] && profile=(-p "$word")
			before=""
		elif [[ " {" ".join(known.with_value)} " == *" $word "* ]]; then
			before=$word
		elif [[ $word != -* && -z $command ]]; then
			command=$word
		elif [[ $word != -* && -z $verb ]]; then
			verb=$word
		fi
	done
	case "$before" in
{chr(10).join(after)}
	?*) return ;;
	"")
		case "$command $verb" in
		" ") words="{" ".join(list(known.commands) + known.options)}" ;;
{chr(10).join("	" + case for case in cases)}
		esac
		case "$command $verb" in
{chr(10).join("	" + case for case in listed)}
		esac ;;
	esac
	# What follows PORT: is the host.
	[[ $before == -L && $current != *:* ]] && return
	[[ $before == -L ]] && front=${{current%%:*}}:
	# Compared here: `compgen -W` would expand the words, and run what stands in $(...).
	read -rd '' -a typed <<< "$words"
	COMPREPLY=()
	for word in "${{typed[@]}}"; do
		[[ $word == "${{current#"$front"}}"* ]] && COMPREPLY+=("$front$word")
	done
	# readline replaces only what stands behind the last colon.
	if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
		COMPREPLY=("${{COMPREPLY[@]#"${{current%"${{current##*:}}"}}"}}")
	fi
}}
complete -o default -F {function_name(program)} {program}
"""


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh(program, known):
    lines = [f"#compdef {program}", f"# zsh completion of {program}; made from its --help.", "",
             "local -a candidates found profile", "local before= command= verb= word",
             f"local -a with_value=({' '.join(known.with_value)})",
             'for word in "${(@)words[2,CURRENT-1]}"; do',
             '\tif [[ -n $before ]]; then', "\t\t[[ $before == (-p|--profile) ]] && profile=(-p $word)", "\t\tbefore=",
             "\telif (( ${with_value[(Ie)$word]} )); then", "\t\tbefore=$word",
             "\telif [[ $word != -* && -z $command ]]; then", "\t\tcommand=$word",
             "\telif [[ $word != -* && -z $verb ]]; then", "\t\tverb=$word", "\tfi", "done", 'case "$before" in']
    for option, list_ in known.lists.items():
        if option == "-L":
            lines.append(f"-L) if compset -P 1 '*:'; then found=(${{(f)\"$({call(list_, ' $profile')})\"}}); compadd -- $found; fi; return ;;")
        elif option[0] == "-":
            lines.append(f"{option}) found=(${{(f)\"$({call(list_, ' $profile')})\"}}); compadd -- $found; return ;;")
    lines += ["?*) _default; return ;;", "esac", 'case "$command $verb" in']
    lines += [f"{quoted(place if ' ' in place else place + ' ')}) found=(${{(f)\"$({call(list_, ' $profile')})\"}}); compadd -- $found ;;"
              for place, list_ in known.lists.items() if place[0] != "-"]
    lines += ["esac", 'case "$command $verb" in']
    first = [quoted(f"{name}:{list(verbs.values())[0][1] if list(verbs) == [''] else name + ' ...'}")
             for name, verbs in known.commands.items()]
    lines.append(f"' ') candidates=({' '.join(first)}) ;;")
    for name, verbs in known.commands.items():
        for verb, (own, _) in verbs.items():
            if own or verb:
                lines.append(f"'{name} {verb}') candidates=({' '.join(own)}) ;;")
        if known.choices.get(name):
            lines.append(f"'{name} ') candidates=({' '.join(known.choices[name])}) ;;")
        elif "" not in verbs:
            described = [quoted(f"{verb}:{sentence}") for verb, (_, sentence) in verbs.items()]
            lines.append(f"'{name} ') candidates=({' '.join(described)}) ;;")
    lines += ["esac", f"_describe {quoted(program)} candidates", f"candidates=({' '.join(known.options)})",
              "_describe -o option candidates", "(( $#found )) || _default"]
    return "\n".join(lines) + "\n"


def fish_option(option):
    return f"{'-l' if option[:2] == '--' else '-s'} {option.lstrip('-')}"


FISH_HELPERS = """function __sallyport_profile
	set -l line (commandline -opc)
	for option in -p --profile
		if set -l place (contains -i -- $option $line[1..-2])
			echo -- -p
			echo -- $line[(math $place + 1)]
		end
	end
end
function __sallyport_behind_port
	set -l front (string match -r '^[^:]*:' -- (commandline -ct))
	and for host in $argv
		echo -- $front$host
	end
end"""


def fish(program, known):
    lines = [f"# fish completion of {program}; made from its --help."]
    if program in LISTS:
        lines.append(FISH_HELPERS)
    for name, verbs in known.commands.items():
        seen_name = f"__fish_seen_subcommand_from {name}"
        sentence = verbs[""][1] if "" in verbs else ""
        lines.append(f"complete -c {program} -n __fish_use_subcommand -f -a {name} -d {quoted(sentence)}")
        choices = known.choices.get(name, [])
        for choice in choices:
            lines.append(f"complete -c {program} -n '{seen_name}; and not __fish_seen_subcommand_from {' '.join(choices)}' -f -a {choice}")
        for verb, (own, help_) in verbs.items():
            seen = seen_name
            if verb:
                others = " ".join(v for v in verbs if v)
                lines.append(f"complete -c {program} -n '{seen}; and not __fish_seen_subcommand_from {others}' -f "
                             f"-a {verb} -d {quoted(help_)}")
                seen += f"; and __fish_seen_subcommand_from {verb}"
            for option in own:
                lines.append(f"complete -c {program} -n '{seen}' {fish_option(option)}")
    for place, list_ in known.lists.items():
        if place[0] != "-":
            seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in place.split())
            lines.append(f"complete -c {program} -n '{seen}' -f -a {quoted('(' + call(list_, ' (__sallyport_profile)') + ')')}")
    for option in known.options:
        words = known.lists.get(option)
        if words:
            words = f"({call(words, ' (__sallyport_profile)')})"
        if option == "-L":
            words = f"(__sallyport_behind_port {words})"
        value = f" -x -a {quoted(words)}" if words else " -r" if option in known.with_value else ""
        lines.append(f"complete -c {program} {fish_option(option)}{value}")
    return "\n".join(lines) + "\n"


def main():
    kind, path = sys.argv[1:]
    program = pathlib.Path(path).name
    text = subprocess.run([path, "--help"], env={**os.environ, "LC_ALL": "C"}, text=True, capture_output=True, check=True).stdout
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[kind](program, Help(program, text)))


if __name__ == "__main__":
    main()
