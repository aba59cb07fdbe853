{#
  The served table, made by dbt from the history. What is run here is written here: no SQL comes from a table.

  A table that keeps its columns and types gets new rows in place, so that views on it, grants and comments stay; only
  where they change is it made anew. Rows and registry change in one transaction. (In Snowflake a new table ends a
  transaction: there the registry follows it at once, in one statement.)
#}

{# Makes `target` hold the rows of a version, and that version the one that serves. `selected`: columns as SQL. `typed`:
   as a model does it, with exactly the types of `selected`; otherwise as an operation, which keeps those that are there and
   may run no statement named main. Needs dbt's transaction. #}
{% macro serve_version(target, version, selected, typed=true) %}
  {%- set registry = dbt_rfm.beside(target, 'rfm_versions') -%}
  {%- set ours = 'model_name = ' ~ dbt_rfm.model_name(target) -%}
  {%- set marks -%}
    update {{ registry }}
    set
        status = case when version = {{ version }} then 'serving' else 'retired' end,
        served_at = case when version = {{ version }} then {{ dbt_rfm.utc_now() }} else served_at end
    where {{ ours }} and (version = {{ version }} or status = 'serving');
  {%- endset -%}
  {%- set history = dbt_rfm.beside(target, target.identifier ~ '__history') -%}
  {%- set rows = 'select ' ~ selected | join(', ') ~ ' from ' ~ history ~ ' where model_version = ' ~ version -%}
  {%- do dbt_rfm.serve_rows(target, rows, marks, typed) -%}
{% endmacro %}


{# Makes `target` hold the rows of a SELECT, and runs the statement `marks` with it, if there is one. #}
{% macro serve_rows(target, rows, marks, typed) %}
  {%- do adapter.dispatch('serve_rows', 'dbt_rfm')(target, rows, marks, typed) -%}
{% endmacro %}


{% macro default__serve_rows(target, rows, marks, typed) %}
  {%- set kind = dbt_rfm.relation_kind(target) -%}
  {%- set fresh = make_intermediate_relation(target) -%}
  {%- call statement('rfm_fresh') -%}
    {{ marks }}
    drop table if exists {{ fresh }};
    create table {{ fresh }} as {{ rows }} limit 0;
  {%- endcall -%}
  {%- set names = dbt_rfm.kept_columns(target, fresh, kind, typed) -%}
  {%- if names -%}
    {%- call statement('main' if typed else 'rfm_serve') -%}
      drop table {{ fresh }};
      delete from {{ target }};
      insert into {{ target }} ({{ names }}) {{ rows }};
    {%- endcall -%}
  {%- else -%}
    {%- do dbt_rfm.require_no_dependents(target, kind) -%}
    {%- call statement('main' if typed else 'rfm_serve') -%}
      {% if kind is not none %}drop {{ kind | replace('BASE ', '') }} {{ target }};{% endif %}
      alter table {{ fresh }} rename to {{ adapter.quote(target.identifier) }};
      insert into {{ target }} {{ rows }};
    {%- endcall -%}
    {%- if typed -%}{%- do create_indexes(target) -%}{%- endif -%}
  {%- endif -%}
{% endmacro %}


{# A failed statement leaves its transaction open there, and dbt hands the session on to its next model, whose first CREATE
   commits what was begun. Neither dbt nor Jinja rolls it back, so a block of Snowflake's own does. The rows are computed
   before it: what they do not fit is told as an error of theirs. #}
{% macro snowflake__serve_rows(target, rows, marks, typed) %}
  {%- set kind = dbt_rfm.relation_kind(target) -%}
  {%- set fresh = make_intermediate_relation(target) -%}
  {%- set transient = '' if typed and not config.get('transient', true) else 'transient' -%}
  {%- call statement('rfm_fresh') -%}
    create or replace transient table {{ fresh }} as {{ rows }};
  {%- endcall -%}
  {%- set names = dbt_rfm.kept_columns(target, fresh, kind, typed) -%}
  {%- if names -%}
    {%- set block -%}
      begin
        begin transaction;
        insert overwrite into {{ target }} ({{ names }}) select {{ names }} from {{ fresh }};
        {{ marks }}
        commit;
      exception
        when other then
          rollback;
          raise;
      end;
    {%- endset -%}
    {%- call statement('main' if typed else 'rfm_serve') -%}execute immediate {{ dbt_rfm.text(block) }};{%- endcall -%}
  {%- else -%}
    {%- call statement('main' if typed else 'rfm_serve') -%}
      {% if kind not in [none, 'BASE TABLE'] %}drop {{ kind }} {{ target }};{% endif %}
      create or replace {{ transient }} table {{ target }} as select * from {{ fresh }};
      {{ marks }}
    {%- endcall -%}
  {%- endif -%}
  {%- call statement('rfm_tidy') -%}drop table if exists {{ fresh }};{%- endcall -%}
{% endmacro %}


{# The columns of `fresh` as SQL where `target` is a table with the same ones; '' if it has to be made anew. #}
{% macro kept_columns(target, fresh, kind, typed) %}
  {%- if kind != 'BASE TABLE' -%}{%- do return('') -%}{%- endif -%}
  {%- set there, wanted = dbt_rfm.column_types(target), dbt_rfm.column_types(fresh) -%}
  {%- set same = there == wanted if typed else there | map('first') | sort == wanted | map('first') | sort -%}
  {%- set quoted = [] -%}
  {%- for name, type in wanted -%}{%- do quoted.append(adapter.quote(name)) -%}{%- endfor -%}
  {%- do return(quoted | join(', ') if same else '') -%}
{% endmacro %}


{% macro require_no_dependents(target, kind) %}
  {%- if kind is not none -%}{%- do adapter.dispatch('require_no_dependents', 'dbt_rfm')(target) -%}{%- endif -%}
{% endmacro %}


{% macro default__require_no_dependents(target) %}
{% endmacro %}


{# Postgres ties a view to its table: to replace the table the view would have to go, and that is not ours to do. #}
{% macro postgres__require_no_dependents(target) %}
  {%- set sql -%}
    select distinct dependent.relname
    from pg_depend
    inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid and pg_depend.classid = 'pg_rewrite'::regclass
    inner join pg_class as dependent on pg_rewrite.ev_class = dependent.oid
    where
        pg_depend.refclassid = 'pg_class'::regclass
        and pg_depend.refobjid = {{ dbt_rfm.text(target.include(database=false)) }}::regclass
        and dependent.oid <> pg_depend.refobjid
    order by 1
  {%- endset -%}
  {%- set views = run_query(sql).rows | map('first') | list -%}
  {%- if views -%}
    {%- do dbt_rfm.raise_error(target.identifier ~ ' gets other columns or types, and ' ~ views | join(', ') ~ ' would be lost with the old ones', 'Drop ' ~ ('these views' if views | length > 1 else 'this view') ~ ' and run dbt build, which makes those of the project again; or give the prediction another name.') -%}
  {%- endif -%}
{% endmacro %}


{# Columns of a version as SQL, in the order and types of the contract where one is enforced. #}
{% macro served_columns(target, version, model) %}
  {%- set contract = dbt_rfm.job_contract(model) -%}
  {%- if not contract.enforced -%}{%- do return(dbt_rfm.version_columns(target, version)) -%}{%- endif -%}
  {%- set selected = [] -%}
  {%- for name, type in contract.columns -%}
    {%- set column = dbt_rfm.column(name) -%}
    {%- do selected.append('cast(' ~ column ~ ' as ' ~ type ~ ') as ' ~ column if type else column) -%}
  {%- endfor -%}
  {%- do return(selected) -%}
{% endmacro %}


{# Columns that a version was served with, as SQL; the history may hold columns of other kinds of prediction too. #}
{% macro version_columns(target, version) %}
  {%- set registry = dbt_rfm.beside(target, 'rfm_versions') -%}
  {%- set kind = run_query('select kind from ' ~ registry ~ ' where model_name = ' ~ dbt_rfm.model_name(target) ~ ' and version = ' ~ version).rows[0][0] -%}
  {%- set kinds = {
      'binary': ['probability', 'prediction'],
      'multiclass': ['class', 'probability', 'rank'],
      'regression': ['prediction', 'p10', 'p50', 'p90'],
      'link': ['score', 'rank'],
      'forecast': ['step', 'forecast_from', 'forecast_until', 'prediction', 'p10', 'p50', 'p90'],
  } -%}
  {%- set marks, own, keys = ['model_version', 'run_id', 'predicted_at'], kinds.get(kind, []), [] -%}
  {%- set others = kinds.values() | sum(start=[]) -%}
  {%- for name in dbt_rfm.column_names(dbt_rfm.beside(target, target.identifier ~ '__history')) -%}
    {%- if name | lower not in marks and (name | lower in own or name | lower not in others) -%}
      {%- do keys.append(adapter.quote(name)) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for mark in marks -%}{%- do keys.append(dbt_rfm.column(mark)) -%}{%- endfor -%}
  {%- do return(keys) -%}
{% endmacro %}
