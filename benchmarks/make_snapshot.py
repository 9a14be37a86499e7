"""Make a synthetic snapshot of the Hub in the schema of hub-stats.

    python -m benchmarks.make_snapshot models.parquet [--rows 3000000] [--children 600000]

Base models are popular with a heavy tail; 0.5% of the children are older than their base
model, some rows date from before 2022-03-02T23:30Z, name themselves as base or appear twice.
"""

import argparse
from pathlib import Path

import duckdb

RELATIONS = "['adapter', 'finetune', 'quantized', 'merge']"


def make(path: Path, rows: int, children: int, seed: int = 1) -> None:
    """Write the snapshot.

    Parameters
    ----------
    path : Path
        Parquet file to write.
    rows, children : int
        Number of models, and how many of them declare a base model.
    seed : int
        Makes the file repeatable.
    """
    roots = rows - children
    connection = duckdb.connect(config={"memory_limit": "1500MB"})
    # md5 of a counter is a random number that is the same on every machine and thread count
    connection.execute(
        f"""
        CREATE MACRO dice(n, salt) AS (
            ('0x' || substr(md5(n::VARCHAR || '/' || salt || '/{seed}'), 1, 12))::BIGINT
            / 281474976710656.0
        );
        CREATE MACRO when_born(n, salt) AS
            TIMESTAMP '2022-03-03' + to_milliseconds((dice(n, salt) ** 0.6 * 145e9)::BIGINT);
        CREATE TABLE models AS
        SELECT
            i,
            substr(md5('id' || i), 1, 24) AS _id,
            'author' || (({rows} / 8 * dice(i, 'author') ** 2)::BIGINT) AS author,
            CASE WHEN i % 211 = 7 THEN TIMESTAMP '2022-03-02 23:29:04'
                 ELSE when_born(i, 'born') END AS born,
            CASE WHEN i % 9001 = 5 AND i >= {roots} THEN i  -- its own base
                 WHEN i >= {roots} THEN ({roots} / 20 * dice(i, 'parent') ** 4)::BIGINT
                 END AS parent,
            {RELATIONS}[1 + (4 * dice(i, 'relation') ** 1.5)::BIGINT % 4] AS relation
        FROM range({rows}) t(i);
        """
    )
    temporary = path.with_name(f".{path.name}")
    connection.execute(
        f"""
        COPY (
            SELECT
                c._id,
                c.author || '/model-' || c.i AS id,
                c.author,
                CASE WHEN p.i IS NULL OR c.i % 200 = 0 THEN c.born
                     ELSE p.born + to_milliseconds((dice(c.i, 'age') ** 2 * greatest(
                         0, epoch_ms(TIMESTAMP '2026-10-08') - epoch_ms(p.born)
                     ))::BIGINT) END AS "createdAt",
                c.born + INTERVAL 40 DAY AS "lastModified",
                (1000 * dice(c.i, 'downloads') ** 6)::BIGINT AS downloads,
                (9000 * dice(c.i, 'downloads') ** 6)::BIGINT AS "downloadsAllTime",
                (50 * dice(c.i, 'likes') ** 8)::BIGINT AS likes,
                ['transformers', 'safetensors', 'region:us'] || CASE WHEN p.i IS NULL THEN [] ELSE [
                    'base_model:' || p.author || '/model-' || p.i,
                    'base_model:' || c.relation || ':' || p.author || '/model-' || p.i
                ] END AS tags,
                'text-generation' AS pipeline_tag,
                'transformers' AS library_name,
                CASE WHEN p.i IS NOT NULL THEN struct_pack(
                    relation := c.relation,
                    models := [struct_pack(_id := p._id, id := p.author || '/model-' || p.i)]
                ) END AS "baseModels",
                '{{"license": "apache-2.0", "language": ["en"], "n": ' || c.i || '}}' AS "cardData"
            FROM (FROM models UNION ALL FROM models WHERE i >= {roots} AND i % 5003 = 0) c
            LEFT JOIN models p ON p.i = c.parent
            ORDER BY c.i
        ) TO '{temporary}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)
        """
    )
    temporary.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--children", type=int, default=600_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    make(arguments.path, arguments.rows, arguments.children, arguments.seed)
