"""Triggers that wake the workers when any program queues a post (PostgreSQL only).

As in 0003 they must neither fail a statement of the parser nor keep it from changing its table, so the function
compares the columns itself. The trigger's condition names one column of Metka's and leaves out claims, the most
frequent updates.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the function and its two triggers."""
    if op.get_bind().dialect.name == "sqlite":
        return
    create_function()
    op.execute(
        "CREATE TRIGGER metka_work_inserted AFTER INSERT ON posts FOR EACH STATEMENT EXECUTE FUNCTION metka_notify()"
    )
    op.execute(
        """
        CREATE TRIGGER metka_work_again AFTER UPDATE ON posts FOR EACH ROW
        WHEN (NEW.lease_token IS NULL OR NEW.lease_token IS NOT DISTINCT FROM OLD.lease_token)
        EXECUTE FUNCTION metka_notify()
        """
    )


def create_function() -> None:
    """Notify for every INSERT, and for an UPDATE that asks for the post or makes it due.

    A full notification queue would fail the commit, where no error can be caught: hence the last condition. PostgreSQL
    sends equal notifications of a transaction once.
    """
    op.get_bind().exec_driver_sql(
        """
        CREATE FUNCTION metka_notify() RETURNS trigger LANGUAGE plpgsql AS $metka$
        DECLARE is_work boolean := TG_OP = 'INSERT';
        BEGIN
            IF NOT is_work THEN
                is_work := (NEW.tagging_status IS NULL OR NEW.tagging_status IN ('pending', 'retrying')) AND (
                    (NEW.requested_at IS NOT NULL AND NEW.requested_at IS DISTINCT FROM OLD.requested_at)
                    OR OLD.tagging_status NOT IN ('pending', 'retrying')
                    OR (NEW.next_attempt_at IS NULL AND OLD.next_attempt_at IS NOT NULL)
                    -- Given back by a process that stops.
                    OR (NEW.lease_token IS NULL AND OLD.lease_token IS NOT NULL
                        AND NEW.next_attempt_at IS NOT DISTINCT FROM OLD.next_attempt_at)
                );
            END IF;
            IF is_work AND pg_catalog.pg_notification_queue_usage() < 0.5 THEN
                PERFORM pg_catalog.pg_notify('metka_work', '');
            END IF;
            RETURN NULL;
        EXCEPTION WHEN OTHERS THEN
            -- For instance a column that another program has dropped: the workers' tick finds the row.
            RETURN NULL;
        END
        $metka$
        """
    )
