-- What an app has that takes notes over Postgres changes, and the part of a database-driven realtime service that lives in
-- the database. Written from the published behaviour of Supabase Realtime; where it differs it is cheaper, see README.md.

create role authenticated nologin;

create table public.notes (
	id     bigint generated always as identity primary key,
	room   text not null,
	author text not null,
	body   text not null
);

create table public.room_members (
	room   text not null,
	member text not null,
	primary key (room, member)
);

-- Who asks: the subject of the token, as it is handed to the database with each request.
create function public.uid() returns text language sql stable as
	$$ select current_setting('request.jwt.claims', true)::jsonb ->> 'sub' $$;

alter table public.notes enable row level security;
create policy read on public.notes for select to authenticated
	using (exists (select from public.room_members m where m.room = notes.room and m.member = (select public.uid())));
create policy write on public.notes for insert to authenticated
	with check (author = (select public.uid()) and exists (select from public.room_members m where m.room = notes.room and m.member = author));
grant select, insert on public.notes to authenticated;
grant select on public.room_members to authenticated;

create schema realtime;

create table realtime.subscription (
	id     bigint primary key,
	room   text not null, -- the filter: room=eq.…
	claims jsonb not null
);
create index on realtime.subscription (room);

-- The changes since the last call, each with the subscriptions that may see it: those whose filter matches and for whose
-- claims the table's policy lets the row through.
create function realtime.list_changes(slot name, most int)
	returns table (change_id bigint, change_room text, change_author text, change_body text, visible bigint[])
	language plpgsql as $$
declare
	line text;
	subscriber record;
begin
	-- Each insert is a transaction of its own, and so three lines: begin, the row, commit.
	for line in
		select data from pg_logical_slot_get_changes(slot, null, 3 * most, 'include-xids', '0')
		where data like 'table public.notes: INSERT:%'
	loop
		change_id := substring(line from ' id\[bigint\]:(\d+)')::bigint;
		change_room := substring(line from ' room\[text\]:''([^'']*)''');
		change_author := substring(line from ' author\[text\]:''([^'']*)''');
		change_body := replace(substring(line from ' body\[text\]:''(.*)''$'), '''''', '''');
		visible := '{}';
		for subscriber in select id, claims::text as claims from realtime.subscription where room = change_room loop
			perform set_config('role', 'authenticated', true), set_config('request.jwt.claims', subscriber.claims, true);
			if exists (select from public.notes where id = change_id) then
				visible := visible || subscriber.id;
			end if;
		end loop;
		perform set_config('role', 'none', true);
		return next;
	end loop;
end $$;
