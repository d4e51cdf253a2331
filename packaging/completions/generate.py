"""Writes completions for bash, zsh and fish from what a program says with --help, so that they know what it knows.

Usage: generate.py bash|zsh|fish PROGRAM   (run by the build; the tables of subcommands and options print that help)
"""
import pathlib
import re
import subprocess
import sys

COMMAND = re.compile(r"^  ([a-z][a-z-]*)((?: [a-z][a-z-]*)?)(?= |$)(.*)$")
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][a-zA-Z-]*")


def parse(text):
    """(options, {command: {verb: (options, help)}}); the verb is "" where the command is all there is."""
    options, commands, last = [], {}, None
    for line in text.split("Exit status")[0].splitlines():
        match = COMMAND.match(line)
        if match and not line.startswith("   "):
            name, verb, rest = match.groups()
            # After two blanks comes the sentence; before it, arguments.
            arguments, _, sentence = rest.partition("  ")
            verb = verb.strip()
            last = commands.setdefault(name, {})
            last[verb] = (OPTION.findall(arguments), sentence.strip())
        elif last is not None and line.startswith("      ") and not line.strip().startswith("-"):
            key = list(last)[-1]
            last[key] = (last[key][0], line.strip())
        elif line.startswith("  -"):
            options += [word for word in OPTION.findall(line.split("  ")[1]) if word not in options]
            last = None
        else:
            last = None
    return options, commands


def function_name(program):
    return "_" + program.replace("-", "_")


def bash(program, options, commands):
    cases = []
    for name, verbs in commands.items():
        for verb, (own, _) in verbs.items():
            cases.append(f'\t"{name} {verb}") words="{" ".join(own + options)}" ;;')
        if "" not in verbs:
            cases.append(f'\t"{name} "*) words="{" ".join(verbs)}" ;;')
        else:
            cases.append(f'\t"{name} "*) words="{" ".join(verbs[""][0] + options)}" ;;')
    return f"""# bash completion of {program}; made from its --help.
{function_name(program)}() {{
	local word words="" command="" verb="" i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${{COMP_WORDS[i]}}
		[[ $word == -* ]] && continue
		if [[ -z $command ]]; then command=$word; elif [[ -z $verb ]]; then verb=$word; fi
	done
	case "$command $verb" in
	" ") words="{" ".join(list(commands) + options)}" ;;
{chr(10).join(cases)}
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F {function_name(program)} {program}
"""


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh(program, options, commands):
    lines = [f"#compdef {program}", f"# zsh completion of {program}; made from its --help.", "",
             "local -a before candidates", "before=(${words[2,CURRENT-1]:#-*})", "case \"${before[1]} ${before[2]}\" in"]
    first = [quoted(f"{name}:{list(verbs.values())[0][1] if list(verbs) == [''] else name + ' ...'}")
             for name, verbs in commands.items()]
    lines.append(f"' ') candidates=({' '.join(first)}) ;;")
    for name, verbs in commands.items():
        for verb, (own, _) in verbs.items():
            lines.append(f"'{name} {verb}') candidates=({' '.join(own)}) ;;")
        if "" not in verbs:
            described = [quoted(f"{verb}:{sentence}") for verb, (_, sentence) in verbs.items()]
            lines.append(f"'{name} ') candidates=({' '.join(described)}) ;;")
    lines += ["esac", f"candidates+=({' '.join(options)})", f"_describe -o {quoted(program)} candidates", "_default"]
    return "\n".join(lines) + "\n"


def fish(program, options, commands):
    lines = [f"# fish completion of {program}; made from its --help."]
    for name, verbs in commands.items():
        sentence = verbs[""][1] if "" in verbs else ""
        lines.append(f"complete -c {program} -n __fish_use_subcommand -f -a {name} -d {quoted(sentence)}")
        for verb, (own, help_) in verbs.items():
            seen = f"__fish_seen_subcommand_from {name}"
            if verb:
                others = " ".join(v for v in verbs if v)
                lines.append(f"complete -c {program} -n '{seen}; and not __fish_seen_subcommand_from {others}' -f "
                             f"-a {verb} -d {quoted(help_)}")
                seen += f"; and __fish_seen_subcommand_from {verb}"
            for option in own:
                lines.append(f"complete -c {program} -n '{seen}' {'-l' if option[:2] == '--' else '-s'} {option.lstrip('-')}")
    for option in options:
        lines.append(f"complete -c {program} {'-l' if option[:2] == '--' else '-s'} {option.lstrip('-')}")
    return "\n".join(lines) + "\n"


def main():
    kind, program = sys.argv[1:]
    text = subprocess.run([program, "--help"], text=True, capture_output=True, check=True).stdout
    options, commands = parse(text)
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[kind](pathlib.Path(program).name, options, commands))


if __name__ == "__main__":
    main()
