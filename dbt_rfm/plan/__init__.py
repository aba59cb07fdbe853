"""SQL for the warehouse: anchors, labels, examples, features, neighbourhoods, all as of each example's anchor.

Everything here returns sqlglot expressions and runs nothing; `collect/` runs them. From the ground up:

    sql, template, blocks        expressions, SQL written as text, the pieces of a plan
    graph, row_times, witnesses, paths, conditions, values
                                 rows: where they are read, when they were known, what they say
    anchors, windows, timeline, staleness
                                 moments: where examples stand, how far they look back, what they lack
    labels, event_labels, examples
                                 what came of each entity or event, and who becomes an example
    own, agreements, children, lasting, kin, past_labels, calendar, features
                                 features; `summary` with its sums and block is how rows are added up
    event_groups, event_flags, event_history, event_seen
                                 features of events, which stand at thousands of moments; `event_stream` is how their
                                 rows are added up
    asked, neighbours            the rows around an example, and those of few entities read once
    series, forecast_examples, forecast_features
                                 a forecast
    interactions, part, candidates, signals, pairs
                                 a recommendation
"""
