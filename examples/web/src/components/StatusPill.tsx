import { Anchor, CircleCheck, Clock, TriangleAlert } from 'lucide-react';
import type { LucideIcon } from 'lucide-react';
import type { Status } from '../data/consignments';

const ICONS: Record<Status, LucideIcon> = {
  expected: Clock,
  'at berth': Anchor,
  cleared: CircleCheck,
  held: TriangleAlert,
};

export function StatusPill({ status }: { readonly status: Status }) {
  const Icon = ICONS[status];
  return (
    <span className={`pill pill-${status.replace(' ', '-')}`}>
      <Icon aria-hidden="true" size={14} />
      {status}
    </span>
  );
}
