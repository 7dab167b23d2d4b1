#!/usr/bin/env python3
"""What transformers makes of chat templates: chat_templates.json, a list of {name, template, variables, text}, or `error` in place
of `text` where the template or the sandbox refuses.

The templates are written as those of the popular families are (what each does with roles, systems, tools and white space), and
small ones hold the language itself to jinja2.

    python make_chat_templates.py            # jinja2 3.1, transformers 4.53
"""

import json
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = Path(__file__).parent

FAMILIES = {
    "chatml": """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "smollm2": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helper<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>\\n' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}
""",
    "llama2": """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    "llama3": """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}""",
    "llama3.1": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = "26 Jul 2024" %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- The system message goes first. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {{- "You have these functions:\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("There is no first user message for the tools") }}
{%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\\n\\n' -}}
    {{- "Answer by JSON.\\n\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {%- if builtin_tools is defined and tool_call.name in builtin_tools %}
            {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
            {{- "<|python_tag|>" + tool_call.name + ".call(" }}
            {%- for arg_name, arg_val in tool_call.arguments | items %}
                {{- arg_name + '="' + arg_val + '"' }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- endif %}
                {%- endfor %}
            {{- ")" }}
        {%- else  %}
            {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
            {{- '{"name": "' + tool_call.name + '", ' }}
            {{- '"parameters": ' }}
            {{- tool_call.arguments | tojson }}
            {{- "}" }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "qwen2.5": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are a helpful assistant.' }}
    {%- endif %}
    {{- "\\n\\n# Tools\\n\\nSignatures within <tools></tools>:\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools>\\n<tool_call>\\n{\\"name\\": <function-name>}\\n</tool_call><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "qwen3": """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "mistral": """{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}""",
    "mistral-tools": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}

{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}

{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content|string + "[/TOOL_RESULTS]" }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported") }}
    {%- endif %}
{%- endfor %}
""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}""",
    "gemma3": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\\n'}}
{%- endif -%}
""",
    "phi3": """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "deepseek": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is none %}{%- set ns.is_tool = false -%}{%- for tool in message['tool_calls']%}{%- if not ns.is_first %}{{'<｜Assistant｜><｜tool▁calls▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + tool['function']['name'] + '\\n' + '```json' + '\\n' + tool['function']['arguments'] + '\\n' + '```'}}{%- set ns.is_first = true -%}{%- else %}{{'\\n' + tool['function']['name']}}{%- endif %}{%- endfor %}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<｜Assistant｜>'}}{% endif %}""",
    "hermes-tools": """{%- macro json_to_python_type(json_spec) %}
{%- set basic_type_map = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool"
} %}

{%- if basic_type_map[json_spec.type] is defined %}
    {{- basic_type_map[json_spec.type] }}
{%- elif json_spec.type == "array" %}
    {{- "list[" +  json_to_python_type(json_spec|items) + "]"}}
{%- elif json_spec.type == "object" %}
    {%- if json_spec.additionalProperties is defined %}
        {{- "dict[str, " + json_to_python_type(json_spec.additionalProperties) + ']'}}
    {%- else %}
        {{- "dict" }}
    {%- endif %}
{%- elif json_spec.type is iterable %}
    {{- "Union[" }}
    {%- for t in json_spec.type %}
      {{- json_to_python_type({"type": t}) }}
      {%- if not loop.last %}
        {{- "," }}
    {%- endif %}
    {%- endfor %}
    {{- "]" }}
{%- else %}
    {{- "Any" }}
{%- endif %}
{%- endmacro %}

{{- bos_token }}
{{- '<|im_start|>system\\n' }}
{%- for tool in tools or [] %}
    {%- if tool.function is defined %}
        {%- set tool = tool.function %}
    {%- endif %}
    {{- '{"type": "function", "function": ' }}
    {{- '{"name": "' + tool.name + '", ' }}
    {{- '"description": "' + tool.name + '(' }}
    {%- for param_name, param_fields in tool.parameters.properties|items %}
        {{- param_name + ": " + json_to_python_type(param_fields) }}
        {%- if not loop.last %}
            {{- ", " }}
        {%- endif %}
    {%- endfor %}
    {{- ")" }}
    {{- " - " + tool.description + "\\n\\n" }}
    {%- for param_name, param_fields in tool.parameters.properties|items %}
        {%- if loop.first %}
            {{- "    Args:\\n" }}
        {%- endif %}
        {{- "        " + param_name + "(" + json_to_python_type(param_fields) + "): " + param_fields.description|trim }}
    {%- endfor %}
    {{- '", "parameters": ' }}
    {%- if tool.parameters.properties | length == 0 %}
        {{- "{}" }}
    {%- else %}
        {{- tool.parameters|tojson }}
    {%- endif %}
    {{- "}" }}
    {%- if not loop.last %}
        {{- "\\n" }}
    {%- endif %}
{%- endfor %}
{{- '<|im_end|>\\n' }}
{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' ~ (message.content or '') ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
""",
    "granite": """{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set system_message = "No date." %}{%- set loop_messages = messages %}{%- endif %}{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\\n' }}{%- if documents %}{{- documents | tojson(indent=2) }}{%- endif %}{%- for message in loop_messages %}{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' }}{% generation %}{{ message['content'] | default('', true) }}{% endgeneration %}{{- '<|end_of_text|>\\n' }}{%- if loop.last and add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}{%- endfor %}""",
}

WEATHER = {"type": "function", "function": {"name": "weather", "description": "Tells the weather <now>.", "parameters": {
    "type": "object", "properties": {
        "place": {"type": "string", "description": " Where, e.g. \"Köln\" "},
        "days": {"type": ["integer", "number"], "description": "How many"},
        "of": {"type": "object", "additionalProperties": {"type": "number"}, "description": "Which & how"}}, "required": ["place"]}}}
CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "weather", "arguments": {"place": "Köln", "days": 2}}}
CONVERSATIONS = {
    "one turn": {"messages": [{"role": "user", "content": "Hello, who are you?"}]},
    "white space": {"messages": [{"role": "system", "content": "  Be brief.\n"}, {"role": "user", "content": "\n Hi 'there' \u00a0"},
                                 {"role": "assistant", "content": " <think>\nhm\n</think>\n\nYes?  "}, {"role": "user", "content": "\tGrüße \"你好\" \\n "}]},
    "no prompt": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "add_generation_prompt": False},
    "tools": {"messages": [{"role": "user", "content": "Will it rain?"}, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                           {"role": "tool", "content": "{\"rain\": 0.5}"}, {"role": "assistant", "content": "No."}, {"role": "user", "content": "Sure?"}],
              "tools": [WEATHER, {**WEATHER, "function": {**WEATHER["function"], "name": "tides"}}]},
    "wrong order": {"messages": [{"role": "assistant", "content": "b"}, {"role": "user", "content": "a"}]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What is it? "}]}]},
    "no thoughts": {"messages": [{"role": "user", "content": "a"}], "enable_thinking": False, "builtin_tools": ["search", "code_interpreter"],
                    "documents": [{"title": "T", "text": "é"}]},
}

# The language. `x` and its like are variables of all of them.
LANGUAGE_VARIABLES = {
    "t": "Héllo, wörld 你好", "s": "  a b\tc\n", "e": "", "n": None, "i": 7, "f": 2.5, "l": [3, 1, 2], "w": ["b", "A", "c"],
    "d": {"b": 1, "a": [1, 2.0, None, True, "x'y"], "items": 5}, "m": [{"k": "x", "v": 1}, {"k": "y"}, {"k": "x", "v": {"z": [7]}}]}
LANGUAGE = r"""
{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 1_000 }}
{{ 0x1f }} {{ 5 % 2.5 }} {{ -5.5 // 2 }} {{ 3 * 'ab' }} {{ [1] * 2 }} {{ [1] + [2] }} {{ (1,) + (2, 3) }} {{ 'a' ~ 1 ~ none }} {{ true + 1 }}
{{ 'a' 'b' }} {{ 'it\'s' }} {{ "tab\tnew\\n" }} {{ '\x41\u00e9\q\101' }}
{{ [1, 'a', "b'c", 'd"e', none, true, 1.5, {'k': [()]}] }} {{ (1,) }} {{ {'a': {}} }} {{ {}|length }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' != 'a' }} {{ [1] == (1,) }} {{ n == none }} {{ x == y }}
{{ 'l' in t }} {{ 'z' not in t }} {{ 1 in l }} {{ 'b' in d }} {{ 'v' in m[1] }} {{ not 1 in l }} {{ 2 in d }} {{ x in [] }} {{ 1 in x }}
{{ 1 if true else 2 }} {{ 1 if false }} {{ 'a' if e else 'b' if n else 'c' }} {{ (e or n or 'z') }} {{ (i and f) }} {{ not e }} {{ e or 0 and 1 }}
{{ t[0] }} {{ t[-1] }} {{ t[99] }}|{{ t[1:3] }} {{ t[::-1] }} {{ t[:-3] }} {{ t[10:] }} {{ l[0] }} {{ l[5] }}|{{ l[-1:] }} {{ l[::2] }} {{ l[5:1:-1] }} {{ l[:none] }} {{ m[0].k }} {{ m[0]['v'] }} {{ m.0.k }} {{ m[2].v.z[0] }}
{{ d['items'] }} {{ d.b }} {{ d.missing }}|{{ d.get('b') }} {{ d.get('q') }} {{ d.get('q', 2) }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.items()|list }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for k, v in d|items %}{{ loop.index }}{{ k }}{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for c in t %}{{ c }}.{% endfor %}
{% for a in l %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}/{{ loop.previtem }}/{{ loop.nextitem }}/{{ loop.cycle('x', 'y') }}/{{ loop.depth }}/{{ loop.changed(a > 1) }} {% endfor %}
{% for a in [] %}x{% else %}none{% endfor %} {% for a in x %}x{% else %}undefined{% endfor %} {% for a in l if a > 1 %}{{ a }}{{ loop.length }}{% endfor %} {% for a in l if a > 9 %}{% else %}no{% endfor %}
{% for a in l %}{% if a == 1 %}{% continue %}{% endif %}{{ a }}{% if loop.last %}{% break %}{% endif %},{% endfor %} {% for a in l %}{% for b in w %}{% if loop.index > 1 %}{% break %}{% endif %}{{ a }}{{ b }}{% endfor %}{{ loop.index }}{% endfor %}
{% set q = 1 %}{% for a in l %}{% set q = q + a %}{{ q }} {% endfor %}{{ q }} {% if true %}{% set q = 5 %}{% endif %}{{ q }} {% set a, b = 1, 2 %}{{ b }}{% set (a, b) = [3, 4] %}{{ a }}
{% set ns = namespace(c=0, u='') %}{% for a in l %}{% set ns.c = ns.c + a %}{% set ns.u = ns.u ~ a %}{% endfor %}{{ ns.c }} {{ ns.u }} {{ ns.zz is defined }} {{ namespace({'a': 1}, b=2).b }}
{% set cap %}  in {{ i }} {% set inner = 1 %}{% endset %}[{{ cap }}]{{ inner is defined }} {% set cap | trim | upper %} ab {% endset %}[{{ cap }}] {% filter upper | replace('A', 'o') %}a{{ 'b' }}{% endfilter %} {% with a = 9, b = 8 %}{{ a }}{{ b }}{% set z = 1 %}{% endwith %}{{ z is defined }}
{% macro f1(a, b=2, c=a) %}{{ a }}-{{ b }}-{{ c }}{% set g = 1 %}{% endmacro %}{{ f1(1) }} {{ f1(1, c=3) }} {{ f1(b=1, a=2) }} {{ f1() }} {{ f1(1)|length }} {% macro r(n) %}{% if n > 0 %}{{ n }}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(4) }}
{{ t|upper }} {{ t|lower }} {{ 'hELLO wORLD-x (y)'|title }} {{ 'hELLO wORLD-x'.title() }} {{ t|capitalize }} {{ s|trim }}| {{ 'xxaxx'|trim('x') }} {{ t|length }} {{ l|count }} {{ x|length }}
{{ x|default('d') }} {{ e|default('d') }}|{{ e|default('d', true) }} {{ n|default('d') }} {{ n|d('d', boolean=true) }} {{ d.zz|default(l[0]) }}
{{ l|join }} {{ l|join(', ') }} {{ m|join('/', attribute='k') }} {{ l|first }} {{ l|last }} {{ e|first }}|{{ t|first }} {{ l|sort }} {{ w|sort }} {{ w|sort(case_sensitive=true) }} {{ l|sort(reverse=true) }} {{ m|sort(attribute='k')|map(attribute='k')|list }} {{ l|min }} {{ w|max }} {{ l|sum }} {{ [1, 1.5]|sum }} {{ l|reverse|list }} {{ 'abc'|reverse }} {{ [1, 1, 'a', 'A']|unique|list }} {{ d|dictsort }} {{ t|list }}
{{ m|map(attribute='v')|list }} {{ m|map(attribute='v', default=0)|list }}
{{ w|map('lower')|join }} {{ ['a ', ' b']|map('trim')|list }} {{ ['ab']|map('replace', 'a', 'x')|list }} {{ m|selectattr('v')|map(attribute='k')|list }} {{ m|selectattr('v', 'defined')|list|length }} {{ m|rejectattr('k', 'equalto', 'x')|list }} {{ m|selectattr('k', 'in', ['y'])|list }} {{ l|select('odd')|list }} {{ l|reject('gt', 1)|list }} {{ [0, 1, e]|select|list }} {{ (m|selectattr('k', '==', 'x')|first).v }} {% if l|select('gt', 9) %}generator{% endif %}
{{ '42'|int }} {{ '4.7'|int }} {{ 'x'|int }} {{ 'x'|int(9) }} {{ 'ff'|int(0, 16) }} {{ 3.9|int }} {{ true|int }} {{ n|int }} {{ '2.5'|float }} {{ 'x'|float }} {{ 3|float }} {{ 2.5|round }} {{ 3.5|round }} {{ 42|round }} {{ 2.1|round(method='ceil') }} {{ -3|abs }} {{ f|string ~ 'x' }} {{ 5|string|length }}
{{ d|tojson }} {{ t|tojson }} {{ d|tojson(indent=2) }} {{ '<&\'"\\/\n\x01\x7f'|tojson }} {{ 'é😀'|tojson(ensure_ascii=true) }} {{ d|tojson(sort_keys=true, separators=(',', ':')) }} {{ [1.0, 1e20, true, none, (1, 2)]|tojson }} {{ {}|tojson(indent=1) }} {{ []|tojson(indent=4) }} {{ d.a|tojson(indent=0) }} {{ d.a|tojson(indent='--') }}
{{ 'a\nb\n\nc'|indent }} {{ 'a\nb'|indent(2, true) }} {{ 'a\n\nb'|indent(2, blank=true) }} {{ 'aXbX'|replace('X', '-') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 'ab'|replace('', '.') }} {{ '<b>'|safe }}
{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}|{{ 'xxa'.lstrip('x') }} {{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c'.split(None, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ 'a\nb\r\nc'.splitlines() }} {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'aXbX'.replace('X', '') }} {{ 'abcb'.find('b') }} {{ 'abcb'.rfind('b') }} {{ 'abc'.find('z') }} {{ 'banana'.count('an') }} {{ ', '.join(['a', 'b']) }} {{ 'ß1'.isalpha() }} {{ '12'.isdigit() }} {{ 'aB1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab1'.islower() }} {{ 'abc'.removeprefix('a').removesuffix('c') }} {{ 'a'.upper() }}{{ 'Ä'.lower() }}{{ 'abC'.capitalize() }} {{ l.index(2) }} {{ l.count(1) }}
{{ x is defined }} {{ x is undefined }} {{ n is none }} {{ e is string }} {{ i is number }} {{ i is integer }} {{ f is float }} {{ true is number }} {{ true is integer }} {{ true is boolean }} {{ d is mapping }} {{ l is mapping }} {{ l is sequence }} {{ t is sequence }} {{ d is sequence }} {{ d is iterable }} {{ i is iterable }} {{ x is iterable }} {{ range is callable }} {{ 4 is even }} {{ 3 is odd }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 'A' is upper }} {{ 'a' is lower }} {{ 1 is eq 1 }} {{ 1 is ne(1) }} {{ 2 is gt 1 }} {{ 2 is le 1 }} {{ 1 is in [1] }} {{ true is true }} {{ 1 is true }} {{ false is false }} {{ x is not defined }} {{ not x is defined }} {{ 1 is not none and true }} {{ m|map('upper') is iterable }} {{ m|map('upper') is sequence }}
{{ range(3)|list }} {{ range(1, 7, 2)|list }} {{ range(3, 0, -1)|list }} {{ range(5)[2] }} {{ range(5)|length }} {{ dict(a=1, b='x') }} {{ dict({'a': 1}, b=2).b }}
{{ "}}" }}{{ '%}' }}{{ {'a': {'b': 1}}.a.b }}{{ {'a':{'b':1}}}}
{{ -1|abs }} {{ (-1)|abs }} {{ 1 + -1 }} {{ - 1 }} {{+1}} {{ not not true }} {{ 1 - - 1 }} {{ 2 * -3 }} {{ i|string|length + 1 }} {{ 'a' + 'b'|upper }} {{ ('a' + 'b')|upper }} {{ 'a' ~ 'b'|upper ~ 'c' }} {{ 1 ~ 2 * 3 }}
{{ 1, 2 }} {{ (1, 2)[0] }} {{ () }} {{ l|first + l|last }} {{ t.upper()[0:2].lower() }} {% set f2 = t.upper %}{{ f2() }} {% print 1 %}
"""
REFUSED = r"""
{{ m|map(attribute='v.z')|list }}
{{ raise_exception('no ' ~ i) }}
{{ x.y }}
{{ x() }}
{{ x + 1 }}
{{ 'a' + 1 }}
{{ 1 + none }}
{{ 1 / 0 }}
{{ 'a' < 1 }}
{{ x < 1 }}
{{ 1|length }}
{% for a in 1 %}{% endfor %}
{% for a, b in l %}{% endfor %}
{{ l.append(1) }}
{{ d.update({}) }}
{{ t.__class__.x }}
{{ n[1:] }}
{{ (m|map('upper'))|length }}
{{ x|tojson }}
{{ 'a'.split('') }}
{% set i.a = 1 %}
{{ l|nofilter }}
{{ l is notest }}
{% nothing %}
{% if true %}
{% endif %}
{% for a in l %}{% endif %}
{{ 1 + }}
{{ }}
{{ (1 }}
{{ 'a }}
{{ a
{# a
{{ 1 ? 2 }}
{% break %}
{% macro q(a) %}{% endmacro %}{{ q(1, 2) }}
{% macro q(a) %}{% endmacro %}{{ q(b=2) }}
{{ 1 in 2 }}
{{ 1 in 'a' }}
{{ {}.b.c }}
{{ range(1000000) }}
{{ f2(a=1, 2) }}
{% set none = 1 %}
{{ t|join(1, 2, 3) }}
"""


def outcome(template, variables):
    try:
        return {"text": _compile_jinja_template(template).render(**variables)}
    except Exception as error:  # whatever Python throws
        return {"error": f"{type(error).__name__}: {error}"}


cases = []
for family, template in FAMILIES.items():
    for name, conversation in CONVERSATIONS.items():
        variables = {"tools": None, "documents": None, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>", **conversation}
        cases.append({"name": f"{family}: {name}", "template": template, "variables": variables, **outcome(template, variables)})
for line in LANGUAGE.strip().split("\n"):
    cases.append({"name": f"language: {line}", "template": line, "variables": LANGUAGE_VARIABLES, **outcome(line, LANGUAGE_VARIABLES)})
SPACES = ("a {#- comment -#} b {# comment #} c{#\nlines #}\n  {% if true %}\n    indented\n  {%- endif %}  x\n  {%+ if true %} kept {% endif +%}\n"
          "  {{- ' joined ' -}}\n  {% raw %}{{ not }} {% a %}{% endraw %}\n{% raw -%}  y {%- endraw %} end\n\n"
          "line\n   {% set u = 1 %}   \n\t{% set v = 1 %}\nnext {% set w2 = 1 %}\n\nlast\r\n{{ \"a\\\nb\" }}\n")
for template in (SPACES, SPACES + "\n", "", "\n", "\n\n", "a\n{% if 1 %}\n\n{% endif %}\n", " {{ 1 }} \n {# c #} \n", "{% raw %}\n a{% endraw %}\n\nb", "{{ 1 -}}\n\n a", "a \n {{- 1 }}",
                 "{% for a in l -%}\n {{ a }}\n{%- endfor %}", "\r\n{% if 1 %}\r\nx\r{% endif %}"):
    cases.append({"name": "white space", "template": template, "variables": LANGUAGE_VARIABLES, **outcome(template, LANGUAGE_VARIABLES)})
for line in REFUSED.strip().split("\n"):
    case = {"name": f"refused: {line}", "template": line, "variables": LANGUAGE_VARIABLES, **outcome(line, LANGUAGE_VARIABLES)}
    assert "error" in case or line.startswith("{% if"), case
    cases.append(case)
(HERE / "chat_templates.json").write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")
print(len(cases), "cases,", sum("error" in case for case in cases), "refused")
