SELECT
  "X"."ENTITY",
  "W"."I",
  "X"."ANCHOR_TIME",
  "W"."END_AT" AS "KNOWN_AT",
  "X"."LABEL"
FROM (
  SELECT
    "L"."ENTITY",
    "L"."ANCHOR_TIME",
    "L"."LABEL"
  FROM (
    WITH "ELIGIBLE" AS (
      SELECT DISTINCT
        "E"."CUSTOMER_ID" AS "ENTITY",
        "A"."ANCHOR_TIME" AS "ANCHOR_TIME"
      FROM "customers" AS "E"
      INNER JOIN "RFM_STARTS0_X" AS "A"
        ON "E"."CREATED_AT" <= "A"."ANCHOR_TIME"
      WHERE
        NOT "E"."CUSTOMER_ID" IS NULL
    ), "AGGREGATION_0" AS (
      SELECT
        "W"."ENTITY",
        "W"."ANCHOR_TIME",
        SUM("W"."VALUE") AS "VALUE"
      FROM (
        SELECT
          "R0"."CUSTOMER_ID" AS "ENTITY",
          "A"."ANCHOR_TIME" AS "ANCHOR_TIME",
          "R0"."AMOUNT" AS "VALUE"
        FROM "orders" AS "R0"
        INNER JOIN "RFM_STARTS0_X" AS "A"
          ON "R0"."ORDERED_AT" > "A"."ANCHOR_TIME"
          AND "R0"."ORDERED_AT" <= "A"."ANCHOR_TIME" + INTERVAL '7 DAY'
      ) AS "W"
      GROUP BY
        "W"."ENTITY",
        "W"."ANCHOR_TIME"
    )
    SELECT
      "ELIGIBLE"."ENTITY",
      "ELIGIBLE"."ANCHOR_TIME",
      CAST(COALESCE("AGGREGATION_0"."VALUE", 0) AS DOUBLE) AS "LABEL"
    FROM "ELIGIBLE"
    LEFT JOIN "AGGREGATION_0"
      ON "AGGREGATION_0"."ENTITY" = "ELIGIBLE"."ENTITY"
      AND "AGGREGATION_0"."ANCHOR_TIME" = "ELIGIBLE"."ANCHOR_TIME"
    WHERE
      NOT (
        COALESCE("AGGREGATION_0"."VALUE", 0)
      ) IS NULL
  ) AS "L"
) AS "X"
INNER JOIN "RFM_WINDOWS_X" AS "W"
  ON "W"."START_AT" = "X"."ANCHOR_TIME"
WHERE
  "X"."LABEL" <> CAST('NaN' AS DOUBLE)
