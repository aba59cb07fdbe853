{# The version of this dbt package; the same as in dbt_project.yml, which Jinja cannot read (a unit test compares). #}
{% macro package_version() %}
  {%- do return('0.1.0') -%}
{% endmacro %}
