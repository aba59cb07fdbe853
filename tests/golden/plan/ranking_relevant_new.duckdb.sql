SELECT DISTINCT
  "i"."entity",
  "w"."anchor_time",
  "i"."item"
FROM "rfm_interactions_x" AS "i"
JOIN "rfm_windows_x" AS "w"
  ON "i"."happened" > "w"."opens"
  AND "i"."happened" <= "w"."closes"
  AND "i"."known" <= "w"."closes"
  AND (
    "i"."until" IS NULL OR "i"."until" > "w"."closes"
  )
JOIN "rfm_listed_x" AS "l"
  ON "l"."item" = "i"."item"
  AND (
    "l"."since" IS NULL OR "l"."since" <= "w"."closes"
  )
  AND (
    "l"."until" IS NULL OR "l"."until" > "w"."closes"
  )
LEFT JOIN (
  SELECT
    "i"."entity",
    "i"."item",
    "w"."anchor_time"
  FROM "rfm_interactions_x" AS "i"
  JOIN "rfm_windows_x" AS "w"
    ON "i"."known" <= "w"."anchor_time"
    AND (
      "i"."until" IS NULL OR "i"."until" > "w"."anchor_time"
    )
  GROUP BY
    "i"."entity",
    "i"."item",
    "w"."anchor_time"
) AS "b"
  ON "b"."entity" = "i"."entity"
  AND "b"."item" = "i"."item"
  AND "b"."anchor_time" = "w"."anchor_time"
WHERE
  "b"."entity" IS NULL
